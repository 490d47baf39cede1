import type { EmailEvent } from "../domain/email-event.ts";
import { groupBy } from "../domain/group-by.ts";
import { type Columns, columnList, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

export type EventRow = EmailEvent & { project_id: string; activity_id: string };
export type StoredEvent = EmailEvent & { discarded: string | null; created_at: Date };
export type EventDiscard = {
  project_id: string;
  activity_id: string;
  occurred_at: Date;
  id: string;
  /** null: the event counts. */
  discarded: string | null;
  /** The id of the event that stood instead. */
  kept: string | null;
};

const eventColumns: Columns<EventRow> = {
  project_id: "uuid",
  activity_id: "uuid",
  occurred_at: "timestamptz",
  id: "uuid",
  type: "text",
  detail: "jsonb",
};

const discardColumns: Columns<EventDiscard> = {
  project_id: "uuid",
  activity_id: "uuid",
  occurred_at: "timestamptz",
  id: "uuid",
  discarded: "text",
  kept: "text",
};

/**
 * The gate through which every event passes once: stores those that are new.
 * @returns the ids of the new ones.
 */
export async function insertEvents(tx: Database, rows: readonly EventRow[]): Promise<Set<string>> {
  const source = rowSource(eventColumns, rows);
  const inserted = await tx.query<{ id: string }>(
    `insert into events (${columnList(eventColumns)})
     select ${columnList(eventColumns)} from ${source.sql} order by project_id, activity_id, occurred_at, id
     on conflict do nothing returning id`,
    source.params,
  );
  return new Set(inserted.map(({ id }) => id));
}

/** Writes decisions about events that are stored. */
export async function updateDiscards(tx: Database, discards: readonly EventDiscard[]): Promise<void> {
  const source = rowSource(discardColumns, discards);
  await tx.query(
    `update events set discarded = rows.discarded,
       detail = case when rows.kept is null then detail - 'kept' else detail || jsonb_build_object('kept', rows.kept) end
     from ${source.sql}
     where events.project_id = rows.project_id and events.activity_id = rows.activity_id
       and events.occurred_at = rows.occurred_at and events.id = rows.id`,
    source.params,
  );
}

/** All events of an activity, discarded ones too, in order of event time. */
export async function eventsOfActivity(
  db: Database,
  projectId: string,
  activityId: string,
): Promise<StoredEvent[]> {
  return db.query<StoredEvent>(
    `select id, type, occurred_at, detail, discarded, created_at from events
     where project_id = $1 and activity_id = $2 order by occurred_at, id`,
    [projectId, activityId],
  );
}

/** All events of several activities, by activity id, each in no particular order. */
export async function eventsOfActivities(
  db: Database,
  keys: readonly { project_id: string; id: string }[],
): Promise<Map<string, StoredEvent[]>> {
  const source = rowSource({ project_id: "uuid", id: "uuid" }, keys);
  const events = await db.query<StoredEvent & { activity_id: string }>(
    `select events.activity_id, events.id, type, occurred_at, detail, discarded, created_at
     from ${source.sql} join events on events.project_id = rows.project_id and events.activity_id = rows.id`,
    source.params,
  );
  return groupBy(events, ({ activity_id }) => activity_id);
}
