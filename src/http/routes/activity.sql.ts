import type { Cursor } from "../../domain/cursor.ts";
import { type ApiStatus, storedStatuses } from "../../domain/mail/activity-status.ts";
import type { ActivityRow } from "../../storage/activity.ts";
import { type Conditions, conditions } from "../../storage/conditions.ts";
import type { Database } from "../../storage/database.ts";
import { addCursor, addPeriod, exactTimeSql, type Page, pageLimit } from "../../storage/pages.ts";
import { recipientAsSent, withTags } from "../../storage/stored-facts.ts";
import { countRows, type Total } from "../../storage/totals.ts";

/** An activity as the API shows it, with the time when it was first recorded. */
export type ReadActivity = Omit<
  ActivityRow,
  "recipient" | "sender_domain" | "last_counted_open_at" | "last_counted_open_id"
> & {
  created_at: Date;
  /** `created_at` with its microseconds, for cursors. */
  created_at_exact: string;
};

export type ActivityFilter = {
  projectId: string;
  recipient?: string | undefined;
  status?: ApiStatus | undefined;
  /** Only opened ones, or only clicked ones. */
  engaged?: "opened" | "clicked" | undefined;
  automationRunId?: string | undefined;
  campaignId?: string | undefined;
  senderDomain?: string | undefined;
  tenantName?: string | undefined;
  /** Both inclusive. */
  since?: Date | undefined;
  until?: Date | undefined;
};

const columns = `project_id, id, tagged_id, created_at, message_id, ${recipientAsSent} as recipient_as_sent,
  sent_at, subject, sender_email, sender_name, email_type, campaign_id, automation_run_id, template_id, tenant_name, tags, is_test, current_status, delivered_at,
  bounced_at, complained_at, opened_first_at, clicked_first_at, opened_any_first_at, clicked_any_first_at, open_count,
  click_count, recipient_certain, ${exactTimeSql("created_at")} as created_at_exact`;

/** Finds an activity by its id, or by its sender's id for it. */
export async function findActivity(
  db: Database,
  projectId: string,
  id: string,
): Promise<ReadActivity | null> {
  const [activity] = withTags<ReadActivity>(
    await db.query(
      `select ${columns} from activity where project_id = $1 and (id = $2 or tagged_id = $2)
       order by (id = $2) desc, created_at, id limit 1`,
      [projectId, id],
    ),
  );
  return activity ?? null;
}

/** Newest first, by `created_at` and id. */
export async function listActivity(
  db: Database,
  filter: ActivityFilter,
  page: Page,
): Promise<ReadActivity[]> {
  const { where, params } = matching(filter, page.after);
  const newestFirst = "order by created_at desc, id desc";
  const rows = (what: string) =>
    `select ${what} from activity where ${where()} ${newestFirst} ${pageLimit(page)}`;
  // The index of rare statuses has what they are filtered by: rows of other campaigns are passed over without being read.
  const ofPage = isRare(filter.status)
    ? `select * from activity where project_id = $1 and id in (${rows("id")})`
    : rows("*");
  // So expressions are computed for the rows of the page alone, not for those before it.
  return withTags(await db.query(`select ${columns} from (${ofPage}) as page ${newestFirst}`, params));
}

export async function countActivity(db: Database, filter: ActivityFilter): Promise<Total> {
  const { where, params } = matching(filter);
  return countRows(db, `from activity where ${where()}`, params);
}

function matching(filter: ActivityFilter, after?: Cursor): Conditions {
  const matched = conditions();
  const { add } = matched;
  add("project_id = ?", filter.projectId);
  add("recipient = ?", filter.recipient);
  addStatus(matched, filter.status);
  add("automation_run_id = ?", filter.automationRunId);
  add("campaign_id = ?", filter.campaignId);
  add("sender_domain = ?", filter.senderDomain);
  add("tenant_name = ?", filter.tenantName);
  addPeriod(matched, "created_at", filter);
  if (filter.engaged === "opened") add("opened_first_at is not null");
  if (filter.engaged === "clicked") add("clicked_first_at is not null");
  addCursor(matched, "created_at, id", after);
  return matched;
}

/** Few emails have any other; those have an index. */
const commonStatuses: readonly ApiStatus[] = ["sent", "delivered"];

function isRare(status: ApiStatus | undefined): boolean {
  return status !== undefined && !commonStatuses.includes(status);
}

function addStatus({ add }: Conditions, status: ApiStatus | undefined): void {
  if (isRare(status)) add("rare_status = ?", status);
  else if (status !== undefined) add("current_status = any(?::text[])", storedStatuses(status));
}
