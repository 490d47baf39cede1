import { type Columns, columnList, jsonText, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";
import { inPartitions, type Partitions } from "./partitions.ts";

/** An accepted SNS message, as the receiver hands it over. */
export type AcceptedNotification = {
  project_id: string;
  topic_id: string;
  sns_message_id: string;
  sns_timestamp: Date;
  /** The whole envelope as received; JSON text. */
  body: string;
};

/** The key of a notification in the journal. */
export type NotificationKey = Pick<
  AcceptedNotification,
  "project_id" | "topic_id" | "sns_message_id" | "sns_timestamp"
>;

/**
 * Stores a batch in one statement; when it returns, the batch is committed. Notifications that are already in the
 * journal are skipped.
 *
 * @param batchId stored only if something was new.
 * @returns for each notification, in the given order, whether it was new.
 */
export async function storeBatch(
  db: Database,
  partitions: Partitions,
  batchId: string,
  batch: readonly AcceptedNotification[],
): Promise<boolean[]> {
  const times = batch.map(({ sns_timestamp }) => sns_timestamp);
  return inPartitions(partitions, "notifications", times, () => insertBatch(db, batchId, batch));
}

const newColumns: Columns<AcceptedNotification> = {
  project_id: "uuid",
  topic_id: "uuid",
  sns_message_id: "uuid",
  sns_timestamp: "timestamptz",
  body: jsonText,
};

async function insertBatch(
  db: Database,
  batchId: string,
  batch: readonly AcceptedNotification[],
): Promise<boolean[]> {
  const source = rowSource(newColumns, batch, 3);
  const [stored] = await db.query<{ count: number; names: string[] | null }>(
    `with stored as (
       insert into notifications (batch_id, ${columnList(newColumns)})
       select $1::uuid, ${columnList(newColumns)} from ${source.sql}
       -- Receivers that store the same messages at the same time wait for one another, and never in a ring.
       order by project_id, topic_id, sns_message_id, sns_timestamp
       on conflict do nothing
       returning topic_id, sns_message_id, sns_timestamp
     ), batch as (
       insert into batches (id, notification_count, first_timestamp, last_timestamp)
       select $1, count(*), min(sns_timestamp), max(sns_timestamp) from stored having count(*) > 0
     )
     -- Often all of them are new, and no name has to be read.
     select count(*)::integer,
       case when count(*) < $2::integer then array_agg(topic_id || '/' || sns_message_id) end as names from stored`,
    [batchId, batch.length, ...source.params],
    "repeated",
  );
  if (stored?.count === batch.length) return batch.map(() => true);
  const names = new Set(stored?.names);
  // A message that is in the batch twice counts as new once.
  return batch.map(({ topic_id, sns_message_id }) =>
    names.delete(`${topic_id}/${sns_message_id.toLowerCase()}`),
  );
}

export type Batch = { id: string; notification_count: number; first_timestamp: Date; last_timestamp: Date };

/** What is waiting to be applied, and what could not be. */
export type JournalTotals = {
  batches_waiting: number;
  /** Age of the oldest waiting batch. */
  oldest_seconds: number;
  /** Notifications quarantined in the last seven days. */
  quarantined: number;
};

/** Reads waiting batches and, of the others, only those with notifications in quarantine. */
export async function journalTotals(db: Database): Promise<JournalTotals> {
  const [totals] = await db.query<JournalTotals>(
    `select count(*)::integer as batches_waiting,
       coalesce(extract(epoch from now() - min(received_at)), 0)::float as oldest_seconds,
       (select coalesce(sum(quarantined_count), 0)::integer from batches
        where quarantined_count > 0 and applied_at > now() - interval '7 days') as quarantined
     from batches where applied_at is null`,
  );
  return totals ?? { batches_waiting: 0, oldest_seconds: 0, quarantined: 0 };
}

const batchColumns = "id, notification_count, first_timestamp, last_timestamp";

/**
 * Takes a batch for the duration of the transaction.
 * @returns null if it is applied already, or another worker has it.
 */
export async function takeBatch(tx: Database, batchId: string): Promise<Batch | null> {
  const [batch] = await tx.query<Batch>(
    `select ${batchColumns} from batches where id = $1 and applied_at is null for update skip locked`,
    [batchId],
  );
  return batch ?? null;
}

/**
 * Takes more batches beside one, those that follow it in order of waiting, while all of them together hold at most
 * `maxNotifications`. Other workers have taken the ones before it, and what they have would count although it is skipped: every
 * worker but the first would take no more than its own batch. Batches that have failed before are tried alone.
 */
export async function takeMoreBatches(
  tx: Database,
  beside: Batch,
  maxNotifications: number,
): Promise<Batch[]> {
  return tx.query<Batch>(
    `with waiting as (
       select id, sum(notification_count) over (order by wake_at, id) as so_far
       from (select id, wake_at, notification_count from batches
             where applied_at is null and attempts = 0
               and (wake_at, id) > ((select wake_at from batches where id = $1), $1)
             order by wake_at, id limit 250) as next
     )
     select ${batchColumns} from batches
     where id in (select id from waiting where so_far <= $2) and applied_at is null
     for update skip locked`,
    [beside.id, maxNotifications - beside.notification_count],
  );
}

/** The notifications of batches, in order of their SNS MessageId. */
export async function loadBatches(tx: Database, batches: readonly Batch[]): Promise<AcceptedNotification[]> {
  return tx.query<AcceptedNotification>(
    `select project_id, topic_id, sns_message_id, sns_timestamp, body from notifications
     where batch_id = any($1::uuid[])
       and sns_timestamp between (select min(first) from unnest($2::timestamptz[]) as first)
                             and (select max(last) from unnest($3::timestamptz[]) as last)
     order by sns_message_id`,
    [
      batches.map(({ id }) => id),
      batches.map(({ first_timestamp }) => first_timestamp),
      batches.map(({ last_timestamp }) => last_timestamp),
    ],
  );
}

const keyColumns: Columns<NotificationKey> = {
  project_id: "uuid",
  topic_id: "uuid",
  sns_message_id: "uuid",
  sns_timestamp: "timestamptz",
};
const key = columnList(keyColumns);

/** Marks notifications that cannot be applied, each with its reason; they stay in the journal. */
export async function quarantine(
  tx: Database,
  rows: readonly (NotificationKey & { quarantine_reason: string })[],
): Promise<void> {
  await updateNotifications(tx, "quarantine_reason", rows);
}

/** Replaces bodies of the journal. */
export async function replaceBodies(
  tx: Database,
  rows: readonly (NotificationKey & { body: string })[],
): Promise<void> {
  await updateNotifications(tx, "body", rows);
}

async function updateNotifications<Name extends "body" | "quarantine_reason">(
  tx: Database,
  name: Name,
  rows: readonly (NotificationKey & Record<Name, string>)[],
): Promise<void> {
  if (rows.length === 0) return;
  const source = rowSource({ ...keyColumns, [name]: "text" }, rows);
  await tx.query(
    `with locked as (
       select ${key}, rows.${name} from notifications join ${source.sql} using (project_id, topic_id, sns_message_id, sns_timestamp)
       order by ${key} for update of notifications
     )
     update notifications set ${name} = locked.${name} from locked
     where (${columnList(keyColumns, "notifications.")}) = (${columnList(keyColumns, "locked.")})`,
    source.params,
  );
}

export type BatchSummary = {
  events: number;
  /** Events that were already known. */
  repeated: number;
  discarded: number;
  /** Notifications without an event: set-up messages, inbound mail, unknown types. */
  ignored: number;
  quarantined: number;
};

/**
 * @param batchIds applied together; the counts are written to the first, and 0 to the others.
 * @returns how long each has been waiting, in seconds.
 */
export async function markApplied(
  tx: Database,
  batchIds: readonly string[],
  summary: BatchSummary,
): Promise<number[]> {
  const rows = await tx.query<{ lag_seconds: number }>(
    `update batches set applied_at = now(), attempts = attempts + 1, last_error = null,
       event_count = case when id = $1 then $3 else 0 end,
       repeated_count = case when id = $1 then $4 else 0 end,
       discarded_count = case when id = $1 then $5 else 0 end,
       ignored_count = case when id = $1 then $6 else 0 end,
       quarantined_count = case when id = $1 then $7 else 0 end
     where id = any($2::uuid[])
     returning extract(epoch from clock_timestamp() - received_at)::float as lag_seconds`,
    [
      batchIds[0],
      batchIds,
      summary.events,
      summary.repeated,
      summary.discarded,
      summary.ignored,
      summary.quarantined,
    ],
  );
  return rows.map(({ lag_seconds }) => lag_seconds);
}

/** Identifies a notification by its topic and its SNS MessageId. */
export type NotificationName = { arn: string; messageId: string; timestamp: Date };

/** The number of these notifications, each with a different name, that the journal holds. */
export async function countKnown(db: Database, names: readonly NotificationName[]): Promise<number> {
  const [row] = await db.query<{ count: number }>(
    `select count(*)::int as count from unnest($1::text[], $2::uuid[], $3::timestamptz[])
       as names(arn, sns_message_id, sns_timestamp)
     join topics using (arn)
     join notifications on notifications.project_id = topics.project_id and topic_id = topics.id
       and notifications.sns_message_id = names.sns_message_id
       and notifications.sns_timestamp = names.sns_timestamp`,
    [
      names.map(({ arn }) => arn),
      names.map(({ messageId }) => messageId),
      names.map(({ timestamp }) => timestamp),
    ],
  );
  return row?.count ?? 0;
}
