import type { ActivityRow } from "../../../storage/activity.ts";
import { type Conditions, conditions } from "../../../storage/conditions.ts";
import type { Database } from "../../../storage/database.ts";
import { exactTimeSql } from "../../../storage/pages.ts";
import type { SendCondition } from "./send-status.ts";

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
  /** The time that the list is sorted by, with its microseconds. */
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
 * Sends in order of creation, oldest first, with all that share the time of the last one. Reading on from that time misses
 * none: see `writingHorizon`.
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
 * Sends in order of change, oldest first: a send is returned again after each change. Every change is recorded with an
 * event, whose time never changes. A send is returned once for each event on the page, in its present state.
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
 * The time before which no new row can appear: a client that stops before it and continues from the last row misses none.
 * Must be read in a separate statement, before the rows.
 *
 * A row's `created_at` is clock_timestamp(), after its transaction has locked the table, or now(), the start of the
 * transaction. So the earliest start of a transaction that holds the lock decides. A lock is released only after the commit
 * is visible: a transaction without the lock has committed, or writes its rows after this statement. A young transaction
 * may be about to take the lock and use its start.
 */
async function writingHorizon(db: Database, table: "activity" | "events"): Promise<string> {
  const [row] = await db.query<{ horizon: string }>(
    `with open_transactions as (
       -- A transaction that has just begun may not show its start yet, but its statement does.
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
