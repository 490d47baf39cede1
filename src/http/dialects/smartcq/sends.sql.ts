import type { ActivityRow } from "../../../storage/activity.ts";
import { type Conditions, conditions } from "../../../storage/conditions.ts";
import type { Database } from "../../../storage/database.ts";
import { exactTimeSql } from "../../../storage/pages.ts";
import type { SendCondition } from "./send-status.ts";

/** An activity as a poller reads it. */
export type Send = Pick<
  ActivityRow,
  | "id"
  | "tagged_id"
  | "campaign_id"
  | "current_status"
  | "sent_at"
  | "delivered_at"
  | "bounced_at"
  | "complained_at"
  | "opened_first_at"
  | "clicked_first_at"
> & {
  recipient_id: string | null;
  created_at: Date;
  /** The time by which the list is ordered, with all its microseconds. */
  place: string;
};

export type SendFilter = {
  projectId: string;
  /** Exclusive. An ISO time with up to six digits of a second's fraction. */
  since?: string | undefined;
  campaignId?: string | undefined;
  /** One of them must be met. */
  conditions?: readonly SendCondition[] | undefined;
};

const columns = `activity.id, tagged_id, campaign_id, current_status, sent_at, delivered_at, bounced_at, complained_at,
  opened_first_at, clicked_first_at, activity.created_at,
  (select id from recipients
   where recipients.project_id = activity.project_id and recipients.address = activity.recipient) as recipient_id`;

/**
 * Sends in order of their making, the oldest first; those that share the time of the last are there too. Walking on from
 * that time misses none: see `writingHorizon`.
 */
export async function sendsByCreation(db: Database, filter: SendFilter, limit: number): Promise<Send[]> {
  const horizon = await writingHorizon(db, "activity");
  const { add, where, params } = matching(filter);
  add("activity.created_at > ?::timestamptz", filter.since);
  add("activity.created_at < ?::timestamptz", horizon);
  return db.query<Send>(
    `select ${columns}, ${exactTimeSql("activity.created_at")} as place from activity where ${where()}
     order by activity.created_at fetch first ${Math.trunc(limit)} rows with ties`,
    params,
  );
}

/**
 * Sends in order of their last change, the oldest first: one comes again whenever something has happened to it. Every
 * change is recorded with an event, and those are never moved. A send is there once for each event on the page,
 * as it is now.
 */
export async function sendsByChange(db: Database, filter: SendFilter, limit: number): Promise<Send[]> {
  const horizon = await writingHorizon(db, "events");
  const { add, where, params } = matching(filter);
  add("events.project_id = ?", filter.projectId);
  add("events.created_at > ?::timestamptz", filter.since);
  add("events.created_at < ?::timestamptz", horizon);
  return db.query<Send>(
    `select ${columns}, ${exactTimeSql("events.created_at")} as place
     from events join activity on activity.project_id = events.project_id and activity.id = events.owner_id
     where events.type <> 'custom' and ${where()}
     order by events.created_at fetch first ${Math.trunc(limit)} rows with ties`,
    params,
  );
}

function matching({ projectId, campaignId, conditions: alternatives }: SendFilter): Conditions {
  const matched = conditions();
  matched.add("activity.project_id = ?", projectId);
  matched.add("activity.campaign_id = ?", campaignId);
  if (alternatives === undefined) return matched;
  const met = alternatives.map(({ statuses, isOpened, isClicked }) => {
    const opened = isOpened === null ? "" : ` and opened_first_at is ${isOpened ? "not null" : "null"}`;
    const clicked = isClicked === null ? "" : ` and clicked_first_at is ${isClicked ? "not null" : "null"}`;
    return { sql: `(current_status = any(?::text[])${opened}${clicked})`, statuses };
  });
  matched.add(`(${met.map(({ sql }) => sql).join(" or ")})`, ...met.map(({ statuses }) => statuses));
  return matched;
}

/**
 * The time before which no row can appear any more: a reader who stops short of it, and goes on from the last row seen,
 * misses none. To be asked for in a statement of its own, before the one that reads.
 *
 * A row gets its `created_at` from clock_timestamp(), after its transaction has locked the table, or from now(), which
 * is the transaction's start. So what counts is the start of every transaction that holds the lock. The lock goes
 * only after the commit has become visible: whoever is not seen holding it has been committed, or makes its rows
 * later than this look. A transaction that is young may be about to take the lock, and to use its start.
 */
async function writingHorizon(db: Database, table: "activity" | "events"): Promise<string> {
  const [row] = await db.query<{ horizon: string }>(
    `with open_transactions as (
       -- One that has begun a moment ago may not say so yet, but its statement does.
       select pid, coalesce(xact_start, query_start) as began from pg_stat_activity
       where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
         and (xact_start is not null or state = 'active'))
     select ${exactTimeSql("least(statement_timestamp(), min(began))")} as horizon from open_transactions
     where began > statement_timestamp() - interval '5 seconds'
       or exists (select from pg_locks
                  where pg_locks.pid = open_transactions.pid and relation = $1::regclass
                    and database = (select oid from pg_database where datname = current_database())
                    and mode = 'RowExclusiveLock' and granted)`,
    [table],
  );
  if (!row) throw new Error("unreachable: an aggregate is one row");
  return row.horizon;
}
