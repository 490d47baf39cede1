import type { ActivityState } from "../domain/mail/activity.ts";
import { idOfName, type MailFacts } from "../domain/mail/mail-facts.ts";
import {
  assignments,
  type Columns,
  columnList,
  columnNames,
  rowSource,
  type StoredForms,
} from "./columns.ts";
import type { Database } from "./database.ts";
import { factSql, storedRecipient, storedTags, withTags } from "./stored-facts.ts";

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

const storedForms: StoredForms<ActivityRow> = {
  recipient_as_sent: storedRecipient,
  tags: storedTags,
};

/** What is read of a row. */
const selection = columnNames(activityColumns).map(factSql).join(", ");

/**
 * A row of its parts. Its fields are named one by one: an object that is spread and then gets more fields costs a hundred
 * times as much.
 */
export function activityRow(
  { project_id, id }: ActivityKey,
  facts: MailFacts,
  state: ActivityState,
): ActivityRow {
  return {
    project_id,
    id,
    message_id: facts.message_id,
    recipient: facts.recipient,
    recipient_as_sent: facts.recipient_as_sent,
    tagged_id: facts.tagged_id,
    sent_at: facts.sent_at,
    subject: facts.subject,
    sender_email: facts.sender_email,
    sender_name: facts.sender_name,
    sender_domain: facts.sender_domain,
    email_type: facts.email_type,
    campaign_id: facts.campaign_id,
    automation_run_id: facts.automation_run_id,
    template_id: facts.template_id,
    tenant_name: facts.tenant_name,
    tags: facts.tags,
    is_test: facts.is_test,
    current_status: state.current_status,
    delivered_at: state.delivered_at,
    bounced_at: state.bounced_at,
    complained_at: state.complained_at,
    opened_first_at: state.opened_first_at,
    clicked_first_at: state.clicked_first_at,
    opened_any_first_at: state.opened_any_first_at,
    clicked_any_first_at: state.clicked_any_first_at,
    open_count: state.open_count,
    click_count: state.click_count,
    last_counted_open_at: state.last_counted_open_at,
    last_counted_open_id: state.last_counted_open_id,
    last_counted_click_at: state.last_counted_click_at,
    recipient_certain: state.recipient_certain,
  };
}

/**
 * Locks the existing activities with these names, in order of their key. A transaction locks first and inserts the missing
 * ones afterwards, with `insertActivities`, so that two never wait for one another.
 */
export async function lockActivities(tx: Database, names: readonly ActivityName[]): Promise<ActivityRow[]> {
  return findActivities(tx, names, "order by activity.project_id, activity.id for update of activity");
}

/**
 * Locks activities that another transaction has inserted since `lockActivities`.
 * @throws a database error (55P03, see `isRetryable`) if one is locked: waiting now, out of order, could become a deadlock.
 */
export async function lockInserted(tx: Database, names: readonly ActivityName[]): Promise<ActivityRow[]> {
  return names.length === 0 ? [] : findActivities(tx, names, "for update of activity nowait");
}

/** The existing activities with these names. */
export async function findActivities(
  db: Database,
  names: readonly ActivityName[],
  orderAndLock = "",
): Promise<ActivityRow[]> {
  const identified = names.flatMap((name) => {
    const id = idOfName(name);
    return id === null ? [] : [{ ...name, id }];
  });
  const others = identified.length === names.length ? [] : names.filter((name) => idOfName(name) === null);
  const name = { message_id: "text", recipient: "text" };
  return [
    ...(await findBy(db, { id: "uuid", ...name }, identified, orderAndLock)),
    ...(await findBy(db, name, others, `where ${hasNoTime("activity.message_id")} ${orderAndLock}`)),
  ];
}

async function findBy(
  db: Database,
  columns: Readonly<Record<string, string>>,
  rows: readonly Readonly<Record<string, unknown>>[],
  rest: string,
): Promise<ActivityRow[]> {
  if (rows.length === 0) return [];
  const source = rowSource({ project_id: "uuid", ...columns }, rows);
  return withTags<ActivityRow>(
    await db.query(
      `select ${selection} from activity
       join ${source.sql} using (project_id, ${columnList(columns)}) ${rest}`,
      source.params,
    ),
  );
}

/**
 * Whether a messageId holds no time, as `timeOfMessageId` decides: the condition of the index `activity_without_time`. The
 * bounds are the years 2000 and 2100.
 */
export function hasNoTime(messageId: string): string {
  const time = `lower(substr(${messageId}, 5, 12)) collate "C"`;
  return `not (${messageId} ~* '^[0-9a-f]{16}-' and ${time} >= '00dc6acfac00' and ${time} < '03bb2cc3d800')`;
}

/**
 * Inserts activities that do not exist, in order of their key.
 * @returns the ids of those inserted. The others exist: under the same name, perhaps with another id if their messageId is
 *   not SES's and an earlier notification lacked the time that is part of the id; or with the same id under a pseudonym.
 */
export async function insertActivities(tx: Database, rows: readonly ActivityRow[]): Promise<Set<string>> {
  if (rows.length === 0) return new Set();
  const source = rowSource(activityColumns, rows, 1, storedForms);
  const inserted = await tx.query<{ id: string }>(
    `insert into activity (${columnList(activityColumns)})
     select ${columnList(activityColumns)} from ${source.sql} order by project_id, id
     on conflict do nothing returning id`,
    source.params,
    "repeated",
  );
  return new Set(inserted.map(({ id }) => id));
}

/** Updates rows that are locked. */
export async function updateActivities(tx: Database, rows: readonly ActivityRow[]): Promise<void> {
  await update(tx, rows, { ...factColumns, ...stateColumns });
}

/** Updates the states, and of the facts only the tags, of rows that are locked. */
export async function updateTagsAndStates(tx: Database, rows: readonly ActivityRow[]): Promise<void> {
  await update(tx, rows, { tags: factColumns.tags, ...stateColumns });
}

/** Updates the states of rows that are locked. */
export async function updateStates(tx: Database, rows: readonly ActivityRow[]): Promise<void> {
  await update(tx, rows, stateColumns);
}

async function update<Name extends keyof ActivityRow>(
  tx: Database,
  rows: readonly ActivityRow[],
  columns: Readonly<Record<Name, string>>,
): Promise<void> {
  if (rows.length === 0) return;
  const source = rowSource({ ...keyColumns, ...columns }, rows, 1, storedForms);
  await tx.query(
    `update activity set ${assignments(columns)}, updated_at = now()
     from ${source.sql} where activity.project_id = rows.project_id and activity.id = rows.id`,
    source.params,
  );
}
