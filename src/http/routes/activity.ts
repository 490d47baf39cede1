import { z } from "zod";
import { inStoredOrder } from "../../domain/exact-json.ts";
import { type ApiStatus, apiStatus, apiStatuses } from "../../domain/mail/activity-status.ts";
import { activityName } from "../../domain/mail/event-names.ts";
import { timeOf } from "../../domain/mail/same-feedback.ts";
import type { Database } from "../../storage/database.ts";
import { eventsOfActivity, type StoredEvent } from "../../storage/events.ts";
import { rememberEstimates } from "../../storage/totals.ts";
import { dataAnswer, foundById, isoOrNull, withData } from "../answers.ts";
import { csvOf, csvQuery } from "../csv.ts";
import { byId, domainName, period, queriedAddress, tenantName, uuid } from "../fields.ts";
import { listAnswer, pageAnswer, pageOf, pagingQuery, placeOfNewest } from "../paging.ts";
import { type AnyRoute, type ApiContext, defineCsvRoute, defineRoute } from "../route.ts";
import {
  type ActivityFilter,
  countActivity,
  findActivity,
  listActivity,
  type ReadActivity,
} from "./activity.sql.ts";
import { eventDetailFields, presentDetail } from "./event-view.ts";

const tag = "Activity";
const timestamp = z.string().nullable();
const text = z.string().nullable();

const TimelineEventView = z.object({
  id: z.string(),
  event_type: z.string(),
  event_timestamp: z.string(),
  ...eventDetailFields,
});

const ActivityView = z.object({
  id: z.string(),
  created_at: z.string(),
  email_type: text,
  campaign_id: text,
  automation_run_id: text,
  template_id: text,
  message_id: z.string(),
  subject: text,
  sender_email: text,
  sender_name: text,
  recipient_primary: z.string(),
  current_status: z.enum(apiStatuses),
  sent_at: timestamp,
  delivered_at: timestamp,
  bounced_at: timestamp,
  complained_at: timestamp,
  opened_first_at: timestamp,
  clicked_first_at: timestamp,
  opened_any_first_at: timestamp,
  clicked_any_first_at: timestamp,
  open_count: z.number(),
  click_count: z.number(),
  recipient_certain: z.boolean(),
  is_test: z.boolean(),
  tags: z.record(z.string(), z.array(z.string())),
  tenant_name: text.meta({ description: "The SES tenant that it was sent for" }),
  events: z.array(TimelineEventView).optional(),
  html_content: text.optional(),
});

const includable = z.enum(
  ["events", "discarded", "html"],
  "takes events, discarded and html, separated by commas",
);
type Includable = z.infer<typeof includable>;
const include = z
  .string()
  .max(100, "is longer than 100 characters")
  .transform((list) => list.split(",").map((part) => part.trim()))
  .pipe(z.array(includable));

/** `/v1/activity`: emails to recipients, as a list, as CSV and one by one. */
export function activityRoutes(api: ApiContext): AnyRoute[] {
  return [list(api), detail(api), csv(api)];
}

function detail({ db }: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/activity/:id",
    scope: "activity:read",
    tag,
    summary: "An email to one recipient, optionally with its timeline",
    params: byId,
    query: z.object({ include: include.default([]) }),
    answer: dataAnswer(ActivityView),
    async handle({ caller, params, query }) {
      const find = (id: string) => findActivity(db, caller.projectId, id);
      const activity = await foundById(params.id, find, "There is no activity with this id");
      return withData({ ...present(activity), ...(await includedParts(db, activity, query.include)) });
    },
  });
}

function list({ db, clock }: ApiContext): AnyRoute {
  const count = rememberEstimates((filter: ActivityFilter) => countActivity(db, filter), clock.now);
  return defineRoute({
    method: "get",
    path: "/v1/activity",
    scope: "activity:read",
    tag,
    summary: "Emails to recipients, the newest first",
    query: z.object({ ...pagingQuery, ...filters }),
    answer: listAnswer(ActivityView),
    handle({ caller, query }) {
      const filter = filterOf(caller.projectId, query);
      const page = { rows: listActivity(db, filter, pageOf(query)), total: count(filter) };
      return pageAnswer(query, page, present, placeOfNewest);
    },
  });
}

/** Every field with one value; `tags` are written as JSON. */
const csvColumns = Object.keys(ActivityView.omit({ events: true, html_content: true }).shape);

function csv({ db }: ApiContext): AnyRoute {
  return defineCsvRoute({
    method: "get",
    path: "/v1/activity.csv",
    scope: "activity:read",
    tag,
    summary: "Emails to recipients as CSV of any size, the newest first",
    description: "Accepts the filters of the list.",
    query: z.object({ ...filters, ...csvQuery }),
    columns: csvColumns,
    rows({ caller, query }) {
      const filter = filterOf(caller.projectId, query);
      return csvOf(csvColumns, (page) => listActivity(db, filter, page), placeOfNewest, present, query);
    },
  });
}

async function includedParts(
  db: Database,
  activity: ReadActivity,
  parts: readonly Includable[],
): Promise<Partial<z.input<typeof ActivityView>>> {
  // SES does not report the HTML that it sent.
  const html = parts.includes("html") ? { html_content: null } : {};
  if (!parts.includes("events")) return html;
  const events = await eventsOfActivity(db, activity.project_id, activity.id);
  const shown = parts.includes("discarded") ? events : events.filter(({ discarded }) => discarded === null);
  // The sort is stable: events of the same time stay in order of their ids.
  const ordered = shown.toSorted((one, other) => timeOf(one).getTime() - timeOf(other).getTime());
  return { ...html, events: ordered.map(presentEvent) };
}

const statusFilters = [...apiStatuses, "opened", "clicked"] as const;

const filters = {
  email: queriedAddress.optional(),
  status: z.enum(statusFilters, `must be one of ${statusFilters.join(", ")}`).optional(),
  automation_run_id: uuid.optional(),
  campaign_id: uuid.optional(),
  sender_domain: domainName.optional(),
  tenant_name: tenantName.optional(),
  ...period,
};

function filterOf(projectId: string, query: z.output<z.ZodObject<typeof filters>>): ActivityFilter {
  return {
    projectId,
    recipient: query.email,
    ...statusFilter(query.status),
    automationRunId: query.automation_run_id,
    campaignId: query.campaign_id,
    senderDomain: query.sender_domain,
    tenantName: query.tenant_name,
    since: query.since,
    until: query.until,
  };
}

function statusFilter(
  status: ApiStatus | "opened" | "clicked" | undefined,
): Pick<ActivityFilter, "status" | "engaged"> {
  if (status === undefined) return {};
  return status === "opened" || status === "clicked" ? { engaged: status } : { status };
}

function present(row: ReadActivity): z.input<typeof ActivityView> {
  return {
    id: row.tagged_id ?? row.id,
    created_at: row.created_at.toISOString(),
    email_type: row.email_type,
    campaign_id: row.campaign_id,
    automation_run_id: row.automation_run_id,
    template_id: row.template_id,
    message_id: row.message_id,
    subject: row.subject,
    sender_email: row.sender_email,
    sender_name: row.sender_name,
    recipient_primary: row.recipient_as_sent,
    current_status: apiStatus(row.current_status),
    sent_at: isoOrNull(row.sent_at),
    delivered_at: isoOrNull(row.delivered_at),
    bounced_at: isoOrNull(row.bounced_at),
    complained_at: isoOrNull(row.complained_at),
    opened_first_at: isoOrNull(row.opened_first_at),
    clicked_first_at: isoOrNull(row.clicked_first_at),
    opened_any_first_at: isoOrNull(row.opened_any_first_at),
    clicked_any_first_at: isoOrNull(row.clicked_any_first_at),
    open_count: row.open_count,
    click_count: row.click_count,
    recipient_certain: row.recipient_certain,
    is_test: row.is_test,
    tags: inStoredOrder(row.tags ?? {}),
    tenant_name: row.tenant_name,
  };
}

function presentEvent(event: StoredEvent): z.input<typeof TimelineEventView> {
  return {
    id: event.id,
    event_type: activityName(event.type),
    event_timestamp: timeOf(event).toISOString(),
    ...presentDetail(event),
  };
}
