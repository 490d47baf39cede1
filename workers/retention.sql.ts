import { firstIdAt } from "../src/domain/computed-id.ts";
import { isoDay } from "../src/domain/time-text.ts";
import type { Database } from "../src/storage/database.ts";
import { sqlState } from "../src/storage/database-errors.ts";
import { journalDays, partitionOfDay } from "../src/storage/partitions.ts";

/**
 * Takes a due pass for this process alone.
 * @returns false if it is not due yet, or another process has taken it.
 */
export async function takePass(db: Database, name: string, everySeconds: number): Promise<boolean> {
  const taken = await db.query(
    `insert into retention_passes (name, due_at) values ($1, now() + $2 * interval '1 second')
     on conflict (name) do update set due_at = excluded.due_at where retention_passes.due_at <= now()
     returning name`,
    [name, everySeconds],
  );
  return taken.length > 0;
}

/** Makes an unfinished pass due again. */
export async function returnPass(db: Database, name: string): Promise<void> {
  await db.query("update retention_passes set due_at = now() where name = $1", [name]);
}

/**
 * Days of the journal before a time, as `2026-11-24`, without notifications that were received since then: late
 * replays are kept as long as new notifications.
 */
export async function expiredJournalDays(db: Database, before: Date): Promise<string[]> {
  const lateArrivals = await db.query<{ first: string; last: string }>(
    `select distinct first_timestamp::date::text as first, last_timestamp::date::text as last from batches
     where id >= $1::uuid and first_timestamp < $2`,
    [firstIdAt(before.getTime()), before],
  );
  const firstKept = isoDay(before);
  return (await journalDays(db)).filter(
    (day) => day < firstKept && !lateArrivals.some(({ first, last }) => first <= day && day <= last),
  );
}

/** New notifications wait behind this lock, so it is taken at once or not at all. */
const lockTimeoutMs = 300;

/**
 * Drops a day of the journal, and records that.
 * @returns `unapplied`: a worker has not applied all of it yet. `busy`: other transactions are using the journal.
 */
export async function dropJournalDay(db: Database, day: string): Promise<"dropped" | "unapplied" | "busy"> {
  try {
    return await db.transaction(async (tx) => {
      await tx.query(`set local lock_timeout = ${lockTimeoutMs}`);
      // With this lock, running inserts are committed and visible below; later ones wait, and create a new partition.
      await tx.query("lock table only notifications in access exclusive mode");
      if (await hasUnapplied(tx, day)) return "unapplied";
      await tx.query(`drop table if exists ${partitionOfDay(day)}`);
      await tx.query(
        "insert into journal_drops (day) values ($1) on conflict (day) do update set dropped_at = now()",
        [day],
      );
      return "dropped";
    });
  } catch (error) {
    if (sqlState(error) === "55P03") return "busy";
    throw error;
  }
}

async function hasUnapplied(tx: Database, day: string): Promise<boolean> {
  const found = await tx.query(
    `select 1 from batches where applied_at is null
       and first_timestamp < $1::date + 1 and last_timestamp >= $1::date limit 1`,
    [day],
  );
  return found.length > 0;
}

/**
 * Removes applied batches that were received before a time.
 * @returns how many, at most `limit`.
 */
export async function deleteBatches(db: Database, before: Date, limit: number): Promise<number> {
  return countDeleted(
    db,
    `delete from batches where id in (
       select id from batches where id < $1::uuid and applied_at is not null order by id limit $2 for update)
     returning 1`,
    [firstIdAt(before.getTime()), limit],
  );
}

/**
 * Removes discarded events that were recorded before a time. Their activity is locked, so that no worker decides
 * about them meanwhile; its row still counts them, see `withForgotten`.
 * @param limit of the search; other discarded events of the same emails are removed too.
 * @returns how many.
 */
export async function deleteDiscards(db: Database, before: Date, limit: number): Promise<number> {
  const discards = await db.query<{ project_id: string; owner_id: string }>(
    `select project_id, owner_id from events
     where discarded is not null and created_at < $1 order by created_at limit $2`,
    [before, limit],
  );
  if (discards.length === 0) return 0;
  const owners = [discards.map((one) => one.project_id), discards.map((one) => one.owner_id)];
  // Activities before events, as workers lock them.
  return db.transaction(async (tx) => {
    await tx.query(
      `select 1 from activity
       join (select distinct * from unnest($1::uuid[], $2::uuid[])) as owners(project_id, id) using (project_id, id)
       order by project_id, id for update of activity`,
      owners,
    );
    return countDeleted(
      tx,
      `delete from events using (select distinct * from unnest($1::uuid[], $2::uuid[])) as owners(project_id, id)
       where events.project_id = owners.project_id and events.owner_id = owners.id
         and discarded is not null and created_at < $3
       returning 1`,
      [...owners, before],
    );
  });
}

/**
 * Removes deliveries that were finished before a time, with their attempts, among the next `limit` deliveries of a
 * project with an older event: an event is never younger than the end of its delivery.
 * @param after the last delivery of the previous step; null at the beginning.
 * @returns where to continue; null at the end.
 */
export async function deleteDeliveries(
  db: Database,
  projectId: string,
  { before, after, limit }: { before: Date; after: string | null; limit: number },
): Promise<string | null> {
  const looked = await db.query<{ id: string }>(
    `with next as (
       select id, finished_at from deliveries
       where project_id = $1 and ($2::uuid is null or id > $2) and id < $3::uuid order by id limit $4
     ), finished as (
       select id from deliveries where project_id = $1 and id in (select id from next where finished_at < $5)
         and finished_at < $5 order by id for update
     ), gone as (
       delete from deliveries using finished where project_id = $1 and deliveries.id = finished.id
     ), attempts_gone as (
       delete from attempts using finished where project_id = $1 and delivery_id = finished.id
     )
     select id from next order by id`,
    [projectId, after, firstIdAt(before.getTime()), limit, before],
  );
  return looked.length === limit ? (looked.at(-1)?.id ?? null) : null;
}

/** Removes redeliveries that ended before a time. */
export async function deleteRedeliveries(db: Database, before: Date, limit: number): Promise<number> {
  return countDeleted(
    db,
    `delete from replays where (project_id, id) in (
       select project_id, id from replays where state <> 'running' and finished_at < $1 order by project_id, id limit $2 for update)
     returning 1`,
    [before, limit],
  );
}

async function countDeleted(db: Database, sql: string, params: readonly unknown[]): Promise<number> {
  return (await db.query(sql, params)).length;
}
