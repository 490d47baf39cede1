import { timeOfId } from "../../domain/computed-id.ts";
import type { Cursor } from "../../domain/cursor.ts";
import type { EventDetail } from "../../domain/mail/event-detail.ts";
import type { EmailEventType } from "../../domain/mail/event-names.ts";
import { type Conditions, conditions } from "../../storage/conditions.ts";
import type { Database } from "../../storage/database.ts";
import { addCursor, addPeriod, exactTimeSql, type Page, pageLimit } from "../../storage/pages.ts";
import { recipientAsSent } from "../../storage/stored-facts.ts";
import { countRows, type Total } from "../../storage/totals.ts";

export type ReadCustomEvent = {
  id: string;
  name: string;
  email: string;
  recipient_id: string;
  properties: Record<string, unknown>;
  kept: string | null;
  discarded: string | null;
  occurred_at: Date;
  /** With its microseconds, for cursors. */
  occurred_at_exact: string;
  created_at: Date;
};

export type CustomEventFilter = {
  projectId: string;
  email?: string | undefined;
  name?: string | undefined;
  /** Both inclusive. */
  since?: Date | undefined;
  until?: Date | undefined;
  withDiscarded: boolean;
};

const columns = `events.id, events.name, recipients.address as email, events.owner_id as recipient_id,
  events.detail -> 'properties' as properties, events.detail ->> 'kept' as kept, events.discarded, events.occurred_at,
  ${exactTimeSql("events.occurred_at")} as occurred_at_exact, events.created_at`;
/** @param events the table, or rows of it. */
const withRecipients = (events: string) => `from ${events} as events join recipients
  on recipients.project_id = events.project_id and recipients.id = events.owner_id`;

/** Newest first, by `occurred_at` and id. */
export async function listCustomEvents(
  db: Database,
  filter: CustomEventFilter,
  page: Page,
): Promise<ReadCustomEvent[]> {
  const { params, where } = matching(filter, page.after);
  const newestFirst = "order by events.occurred_at desc, events.id desc";
  // The page first: a plan that joins first may join all events before it sorts them.
  return db.query<ReadCustomEvent>(
    `with page as materialized (select * from events where ${where()} ${newestFirst} ${pageLimit(page)})
     select ${columns} ${withRecipients("page")} ${newestFirst}`,
    params,
  );
}

export async function countCustomEvents(db: Database, filter: CustomEventFilter): Promise<Total> {
  const { params, where } = matching(filter);
  return countRows(db, `from events where ${where()}`, params);
}

function matching(filter: CustomEventFilter, after?: Cursor): Conditions {
  const matched = conditions();
  const { add } = matched;
  add("events.project_id = ?", filter.projectId);
  add("events.type = 'custom'");
  if (!filter.withDiscarded) add("events.discarded is null");
  // The primary key starts with the recipient and is in order of time.
  add("events.owner_id = (select id from recipients where project_id = $1 and address = ?)", filter.email);
  add("events.name = ?", filter.name);
  addPeriod(matched, "events.occurred_at", filter);
  addCursor(matched, "events.occurred_at, events.id", after);
  return matched;
}

/** An event of an email, with the fields of its email that the API shows. */
export type ReadEmailEvent = {
  id: string;
  type: EmailEventType;
  activity_id: string;
  email: string;
  message_id: string;
  detail: EventDetail;
  discarded: string | null;
  occurred_at: Date;
  created_at: Date;
};

export type ReadEvent = ({ type: "custom" } & ReadCustomEvent) | ReadEmailEvent;

/** Finds an event of an email, or a custom event. Its id contains its time, which is part of the primary key. */
export async function findEvent(db: Database, projectId: string, id: string): Promise<ReadEvent | null> {
  const params = [projectId, new Date(timeOfId(id)), id];
  const isIt = "events.project_id = $1 and events.occurred_at = $2 and events.id = $3";
  const [custom] = await db.query<ReadCustomEvent>(
    `select ${columns} ${withRecipients("events")} where ${isIt} and events.type = 'custom'`,
    params,
  );
  if (custom) return { type: "custom", ...custom };
  const [ofEmail] = await db.query<ReadEmailEvent>(
    `select events.id, events.type, coalesce(activity.tagged_id, activity.id) as activity_id,
       ${recipientAsSent} as email, activity.message_id, events.detail, events.discarded,
       events.occurred_at, events.created_at
     from events join activity on activity.project_id = events.project_id and activity.id = events.owner_id
     where ${isIt} and events.type <> 'custom'`,
    params,
  );
  return ofEmail ?? null;
}
