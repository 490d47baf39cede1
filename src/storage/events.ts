import { type Decision, decidedKeys } from "../domain/mail/decision.ts";
import type { EmailEvent } from "../domain/mail/email-event.ts";
import type { EventDetail } from "../domain/mail/event-detail.ts";
import { feedbackTypes } from "../domain/mail/same-feedback.ts";
import { groupBy } from "../domain/maps.ts";
import { type Columns, columnList, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

/** @property owner_id the activity. */
export type EventRow = EmailEvent & { project_id: string; owner_id: string };
export type StoredEvent = EmailEvent & { discarded: string | null; created_at: Date };
type EventKey = { project_id: string; owner_id: string; occurred_at: Date; id: string };
export type EventDecision = EventKey & Decision;

const eventColumns: Columns<EventRow> = {
  project_id: "uuid",
  owner_id: "uuid",
  occurred_at: "timestamptz",
  id: "uuid",
  type: "text",
  detail: "jsonb",
};

const newColumns: Columns<Required<NewEvent>> = { ...eventColumns, discarded: "text" };

const keyColumns: Columns<EventKey> = {
  project_id: "uuid",
  owner_id: "uuid",
  occurred_at: "timestamptz",
  id: "uuid",
};
const isRowsKey = `events.project_id = rows.project_id and events.owner_id = rows.owner_id
       and events.occurred_at = rows.occurred_at and events.id = rows.id`;

/** An event, and why it does not count; null or absent: it counts. */
export type NewEvent = EventRow & { discarded?: string | null };

/**
 * The gate through which every event passes once: stores those that are new.
 * @returns the new ones' ids, with the time at which they were recorded.
 */
export async function insertEvents(tx: Database, rows: readonly NewEvent[]): Promise<Map<string, Date>> {
  if (rows.length === 0) return new Map();
  const source = rowSource(newColumns, rows as readonly Required<NewEvent>[], 2);
  const columns = columnList(newColumns);
  const [inserted] = await tx.query<{ recorded_at: Date; count: number; ids: string[] | null }>(
    `with moment as materialized (select clock_timestamp() as recorded_at),
     inserted as (
       insert into events (${columns}, created_at)
       select ${columns}, recorded_at from ${source.sql}, moment order by project_id, owner_id, occurred_at, id
       on conflict do nothing returning id
     )
     -- Nearly always all of them are new, and no id has to be read.
     select (select recorded_at from moment), count(*)::integer,
       case when count(*) < $1::integer then array_agg(id) end as ids from inserted`,
    [rows.length, ...source.params],
    "repeated",
  );
  if (inserted === undefined) throw new Error("unreachable: an aggregate has one row");
  const { recorded_at, count, ids } = inserted;
  const newIds = count === rows.length ? rows.map(({ id }) => id) : (ids ?? []);
  return new Map(newIds.map((id) => [id, recorded_at]));
}

/** Events of activities whose copies can have other times, by activity id; see `feedbackTypes`. */
export async function feedbackOfActivities(
  tx: Database,
  keys: readonly { project_id: string; id: string }[],
): Promise<Map<string, { id: string; occurred_at: Date }[]>> {
  const source = rowSource({ project_id: "uuid", id: "uuid" }, keys);
  const events = await tx.query<{ owner_id: string; id: string; occurred_at: Date }>(
    `select events.owner_id, events.id, events.occurred_at
     from ${source.sql} join events on events.project_id = rows.project_id and events.owner_id = rows.id
     where events.type = any($3::text[])`,
    [...source.params, feedbackTypes],
  );
  return groupBy(events, ({ owner_id }) => owner_id);
}

/** Writes decisions about stored events. */
export async function updateDecisions(tx: Database, decisions: readonly EventDecision[]): Promise<void> {
  const source = rowSource({ ...keyColumns, discarded: "text", detail: "jsonb" }, decisions);
  await tx.query(
    `update events set discarded = rows.discarded,
       detail = events.detail - array['${decidedKeys.join("', '")}'] || rows.detail
     from ${source.sql} where ${isRowsKey}`,
    source.params,
  );
}

/** The details of stored events, by id. */
export async function detailsOf(tx: Database, keys: readonly EventKey[]): Promise<Map<string, EventDetail>> {
  const source = rowSource(keyColumns, keys);
  const stored = await tx.query<{ id: string; detail: EventDetail }>(
    `select events.id, events.detail from ${source.sql} join events on ${isRowsKey}`,
    source.params,
  );
  return new Map(stored.map(({ id, detail }) => [id, detail]));
}

/** Replaces the details of stored events. */
export async function updateDetails(tx: Database, events: readonly EventRow[]): Promise<void> {
  const source = rowSource({ ...keyColumns, detail: "jsonb" }, events);
  await tx.query(
    `update events set detail = rows.detail from ${source.sql} where ${isRowsKey}`,
    source.params,
  );
}

export async function deleteEvents(tx: Database, keys: readonly EventKey[]): Promise<void> {
  const source = rowSource(keyColumns, keys);
  await tx.query(`delete from events using ${source.sql} where ${isRowsKey}`, source.params);
}

/** All events of an activity, including discarded ones, in order of event time. */
export async function eventsOfActivity(
  db: Database,
  projectId: string,
  activityId: string,
): Promise<StoredEvent[]> {
  return db.query<StoredEvent>(
    `select id, type, occurred_at, detail, discarded, created_at from events
     where project_id = $1 and owner_id = $2 order by occurred_at, id`,
    [projectId, activityId],
  );
}

/** All events of several activities, by activity id, in no order. */
export async function eventsOfActivities(
  db: Database,
  keys: readonly { project_id: string; id: string }[],
): Promise<Map<string, StoredEvent[]>> {
  const source = rowSource({ project_id: "uuid", id: "uuid" }, keys);
  const events = await db.query<StoredEvent & { owner_id: string }>(
    `select events.owner_id, events.id, type, occurred_at, detail, discarded, created_at
     from ${source.sql} join events on events.project_id = rows.project_id and events.owner_id = rows.id`,
    source.params,
  );
  return groupBy(events, ({ owner_id }) => owner_id);
}
