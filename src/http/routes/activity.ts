import { z } from "zod";
import { uuidOrNull } from "../../domain/computed-id.ts";
import { type ApiStatus, apiStatus, apiStatuses, storedStatuses } from "../../domain/mail/activity-status.ts";
import { activityName } from "../../domain/mail/event-names.ts";
import { timeOf } from "../../domain/mail/same-feedback.ts";
import type { Database } from "../../storage/database.ts";
import { eventsOfActivity, type StoredEvent } from "../../storage/events.ts";
import { rememberEstimates } from "../../storage/totals.ts";
import type { ApiContext } from "../api-context.ts";
import { csvOf, csvQuery } from "../csv.ts";
import { ApiError } from "../errors.ts";
import { domainName, pathText, queriedAddress, tenantName, time, untilTime, uuid } from "../fields.ts";
import { Pagination, pageAnswer, pageOf, pagingQuery, placeOfNewest } from "../paging.ts";
import { type AnyRoute, defineCsvRoute, defineRoute } from "../route.ts";
import {
  type ActivityFilter,
  countActivity,
  findActivity,
  listActivity,
  type ReadActivity,
} from "./activity.sql.ts";
import { eventDetailFields, presentDetail } from "./event-view.ts";

const timestamp = z.string().nullable();
const text = z.string().nullable();

const ActivityEvent = z.object({
  id: z.string(),
  event_type: z.string(),
  event_timestamp: z.string(),
  ...eventDetailFields,
});

const Activity = z.object({
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
  tenant_name: text.meta({ description: "The tenant of SES that it was sent for" }),
  events: z.array(ActivityEvent).optional(),
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

/** `GET /v1/activity`, alone, as a list and as CSV. */
export function activityRoutes(api: ApiContext): AnyRoute[] {
  return [list(api), detail(api), csv(api)];
}

function detail({ db }: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/activity/:id",
    scope: "activity:read",
    tag: "Activity",
    summary: "One email to one recipient, with its timeline when asked for",
    params: z.object({ id: pathText }),
    query: z.object({ include: include.default([]) }),
    answer: z.object({ success: z.literal(true), data: Activity }),
    async handle({ caller, params, query }) {
      // An id that cannot be one is as unknown as any other.
      const id = uuidOrNull(params.id);
      const activity = id && (await findActivity(db, caller.projectId, id));
      if (!activity) throw new ApiError(404, "There is no activity with this id");
      const included = await includedParts(db, activity, query.include);
      return { success: true as const, data: { ...present(activity), ...included } };
    },
  });
}

function list({ db, clock }: ApiContext): AnyRoute {
  const count = rememberEstimates((filter: ActivityFilter) => countActivity(db, filter), clock.now);
  return defineRoute({
    method: "get",
    path: "/v1/activity",
    scope: "activity:read",
    tag: "Activity",
    summary: "Emails to recipients, the newest first",
    params: z.object({}),
    query: z.object({ ...pagingQuery, ...filters }),
    answer: z.object({ success: z.literal(true), data: z.array(Activity), pagination: Pagination }),
    async handle({ caller, query }) {
      const filter = filterOf(caller.projectId, query);
      const page = await Promise.all([listActivity(db, filter, pageOf(query)), count(filter)]);
      return pageAnswer(query, page, present, placeOfNewest);
    },
  });
}

/** What is one value, in a cell of its own; tags are JSON. */
const csvColumns = Object.keys(Activity.omit({ events: true, html_content: true }).shape);

function csv({ db }: ApiContext): AnyRoute {
  return defineCsvRoute({
    method: "get",
    path: "/v1/activity.csv",
    scope: "activity:read",
    tag: "Activity",
    summary: "Emails to recipients as CSV of any size, the newest first",
    description: "Takes the filters of the list.",
    params: z.object({}),
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
): Promise<Partial<z.input<typeof Activity>>> {
  // SES does not tell the HTML of what it sent.
  const html = parts.includes("html") ? { html_content: null } : {};
  if (!parts.includes("events")) return html;
  const events = await eventsOfActivity(db, activity.project_id, activity.id);
  const shown = parts.includes("discarded") ? events : events.filter(({ discarded }) => discarded === null);
  // Stable, so that events of one time stay in order of their ids.
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
  since: time.optional(),
  until: untilTime.optional(),
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
): Pick<ActivityFilter, "statuses" | "engaged"> {
  if (status === undefined) return {};
  return status === "opened" || status === "clicked"
    ? { engaged: status }
    : { statuses: storedStatuses(status) };
}

function present(row: ReadActivity): z.input<typeof Activity> {
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
    sent_at: iso(row.sent_at),
    delivered_at: iso(row.delivered_at),
    bounced_at: iso(row.bounced_at),
    complained_at: iso(row.complained_at),
    opened_first_at: iso(row.opened_first_at),
    clicked_first_at: iso(row.clicked_first_at),
    opened_any_first_at: iso(row.opened_any_first_at),
    clicked_any_first_at: iso(row.clicked_any_first_at),
    open_count: row.open_count,
    click_count: row.click_count,
    recipient_certain: row.recipient_certain,
    is_test: row.is_test,
    tags: row.tags ?? {},
    tenant_name: row.tenant_name,
  };
}

function presentEvent(event: StoredEvent): z.input<typeof ActivityEvent> {
  return {
    id: event.id,
    event_type: activityName(event.type),
    event_timestamp: timeOf(event).toISOString(),
    ...presentDetail(event),
  };
}

function iso(date: Date | null): string | null {
  return date?.toISOString() ?? null;
}
