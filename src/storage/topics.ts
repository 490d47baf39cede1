import type { Hearing } from "../domain/topic-silence.ts";
import { type Columns, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

export type SubscriptionState = "unknown" | "confirmed" | "confirmation_failed" | "unsubscribed";

export type Topic = {
  project_id: string;
  id: string;
  arn: string;
  subscription_state: SubscriptionState;
  subscription_error: string | null;
};

const columns = "project_id, id, arn, subscription_state, subscription_error";

/** Allow-lists a topic. One that is already allow-listed stays with its project. */
export async function insertTopic(
  db: Database,
  topic: Pick<Topic, "project_id" | "id" | "arn">,
): Promise<void> {
  await db.query(
    "insert into topics (project_id, id, arn) values ($1, $2, $3) on conflict (arn) do nothing",
    [topic.project_id, topic.id, topic.arn],
  );
}

export async function listTopics(db: Database): Promise<Topic[]> {
  return db.query<Topic>(`select ${columns} from topics order by arn`);
}

/** @returns whether the topic existed. Its notifications stay. */
export async function deleteTopic(db: Database, arn: string): Promise<boolean> {
  return (await db.query("delete from topics where arn = $1 returning id", [arn])).length > 0;
}

/** @param error why a confirmation failed; else null. */
export async function setSubscriptionState(
  db: Database,
  topic: Pick<Topic, "project_id" | "id">,
  state: SubscriptionState,
  error: string | null = null,
): Promise<void> {
  await db.query(
    `update topics set subscription_state = $3, subscription_error = $4, subscription_changed_at = now()
     where project_id = $1 and id = $2`,
    [topic.project_id, topic.id, state, error],
  );
}

export type HeardTopic = Topic &
  Hearing & {
    /** The database's clock, one for all processes; in whole milliseconds, as the times are. */
    now: Date;
  };

const heardColumns = `${columns}, heard_since, last_notification_at, usual_gap_seconds,
  date_trunc('milliseconds', now()) as now`;

/**
 * The habits of topics.
 * @param ids all topics unless given.
 */
export async function listHeardTopics(db: Database, ids?: readonly string[]): Promise<HeardTopic[]> {
  return db.query<HeardTopic>(
    `select ${heardColumns} from topics where $1::uuid[] is null or id = any($1) order by arn`,
    [ids ?? null],
  );
}

/** @property known the habits that `heard` was computed from. */
export type HeardChange = { id: string; heard: Hearing; known: Hearing };

const changeColumns: Columns<Hearing & { id: string; known_at: Date }> = {
  id: "uuid",
  heard_since: "timestamptz",
  last_notification_at: "timestamptz",
  usual_gap_seconds: "double precision",
  known_at: "timestamptz",
};

/** Writes new habits, unless another process has written since: it has heard the same. */
export async function writeHearing(db: Database, changes: readonly HeardChange[]): Promise<void> {
  const rows = changes.map(({ id, heard, known }) => ({
    id,
    ...heard,
    known_at: known.last_notification_at,
  }));
  const source = rowSource(changeColumns, rows);
  await db.query(
    `with locked as (select id from topics join ${source.sql} using (id) order by id for update of topics)
     update topics set heard_since = rows.heard_since, last_notification_at = rows.last_notification_at,
       usual_gap_seconds = rows.usual_gap_seconds
     from ${source.sql} join locked using (id)
     where topics.id = rows.id and topics.last_notification_at is not distinct from rows.known_at`,
    source.params,
  );
}
