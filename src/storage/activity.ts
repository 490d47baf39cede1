import type { ActivityState } from "../domain/mail/activity.ts";
import type { MailFacts } from "../domain/mail/mail-facts.ts";
import { assignments, type Columns, columnList, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

type ActivityKey = { project_id: string; id: string };
export type ActivityRow = ActivityKey & MailFacts & ActivityState;
/** The natural key of an activity: the email and the recipient. */
export type ActivityName = Pick<ActivityRow, "project_id" | "message_id" | "recipient">;

export const nameColumns: Columns<ActivityName> = {
  project_id: "uuid",
  message_id: "text",
  recipient: "text",
};

const keyColumns: Columns<ActivityKey> = { project_id: "uuid", id: "uuid" };

const factColumns: Columns<MailFacts> = {
  message_id: "text",
  recipient: "text",
  recipient_as_sent: "text",
  tagged_id: "uuid",
  sent_at: "timestamptz",
  subject: "text",
  sender_email: "text",
  sender_name: "text",
  sender_domain: "text",
  email_type: "text",
  campaign_id: "uuid",
  automation_run_id: "uuid",
  template_id: "uuid",
  tenant_name: "text",
  tags: "jsonb",
  is_test: "boolean",
};

const stateColumns: Columns<ActivityState> = {
  current_status: "text",
  delivered_at: "timestamptz",
  bounced_at: "timestamptz",
  complained_at: "timestamptz",
  opened_first_at: "timestamptz",
  clicked_first_at: "timestamptz",
  opened_any_first_at: "timestamptz",
  clicked_any_first_at: "timestamptz",
  open_count: "integer",
  click_count: "integer",
  last_counted_open_at: "timestamptz",
  last_counted_open_id: "uuid",
  last_counted_click_at: "timestamptz",
  recipient_certain: "boolean",
};

const activityColumns: Columns<ActivityRow> = { ...keyColumns, ...factColumns, ...stateColumns };

/**
 * Locks the activities of a batch; rows that do not exist are inserted first. Rows are inserted and locked in order
 * of their key, so that two workers never deadlock.
 *
 * @returns the rows as they are in the database. One may have another id than the given row, if an earlier
 *   notification lacked the time that is part of the id; message and recipient identify it.
 */
export async function lockActivities(tx: Database, rows: readonly ActivityRow[]): Promise<ActivityRow[]> {
  const source = rowSource(activityColumns, rows);
  await tx.query(
    `insert into activity (${columnList(activityColumns)})
     select ${columnList(activityColumns)} from ${source.sql} order by project_id, id
     on conflict do nothing`,
    source.params,
  );
  return findActivities(tx, rows, "order by activity.project_id, activity.id for update of activity");
}

/** The existing activities with these names. */
export async function findActivities(
  db: Database,
  names: readonly ActivityName[],
  orderAndLock = "",
): Promise<ActivityRow[]> {
  const natural = rowSource(nameColumns, names);
  return db.query<ActivityRow>(
    `select ${columnList(activityColumns, "activity.")} from activity
     join ${natural.sql} using (project_id, message_id, recipient) ${orderAndLock}`,
    natural.params,
  );
}

/** Updates rows that are locked. */
export async function updateActivities(tx: Database, rows: readonly ActivityRow[]): Promise<void> {
  const source = rowSource(activityColumns, rows);
  await tx.query(
    `update activity set ${assignments({ ...factColumns, ...stateColumns })}, updated_at = now()
     from ${source.sql} where activity.project_id = rows.project_id and activity.id = rows.id`,
    source.params,
  );
}
