import { computedId } from "../computed-id.ts";
import type { CustomEvent } from "../custom-event.ts";
import { ExactNumber, exactJson } from "../exact-json.ts";
import type { AccountStatus, KnownStatus } from "../mail/account-status.ts";
import type { EmailEvent } from "../mail/email-event.ts";
import { reasonsOf } from "../mail/event-detail.ts";
import { activityName, type WebhookEventType, webhookName } from "../mail/event-names.ts";
import type { MailFacts } from "../mail/mail-facts.ts";
import type { Suppression } from "../mail/suppression.ts";

/** Something that webhooks tell. */
export type WebhookEvent = {
  /** The `webhook-id`: the same in every attempt and replay. */
  id: string;
  type: WebhookEventType;
  /** Made once and stored, so that its bytes are the same in every attempt and replay. */
  body(): string;
};

/** The activity as far as a webhook tells of it. */
export type WebhookActivity = Pick<
  MailFacts,
  | "message_id"
  | "recipient_as_sent"
  | "tagged_id"
  | "campaign_id"
  | "automation_run_id"
  | "template_id"
  | "tenant_name"
  | "tags"
  | "is_test"
> & { project_id: string; id: string };

/**
 * Tells of an email event.
 * @param recordedAt when we came to know of the event, which is not when it happened.
 */
export function emailWebhook(activity: WebhookActivity, event: EmailEvent, recordedAt: Date): WebhookEvent {
  const { type, occurred_at, detail } = event;
  const data = () => ({
    ...mailOf(activity),
    event_type: activityName(type),
    event_timestamp: occurred_at.toISOString(),
    url_clicked: detail.url_clicked ?? null,
    bounce_type: detail.bounce_type ?? null,
    bounce_subtype: detail.bounce_subtype ?? null,
    complaint_feedback_type: detail.complaint_feedback_type ?? null,
    ...reasonsOf(event),
    recipient_certain: detail.recipient_certain ?? true,
    auto_reply: detail.auto_reply ?? false,
    user_agent: detail.user_agent ?? null,
    ip_address: detail.ip_address ?? null,
    is_bot_event: detail.is_bot_event ?? null,
    campaign_id: activity.campaign_id,
    automation_run_id: activity.automation_run_id,
    template_id: activity.template_id,
    tenant_name: activity.tenant_name,
    tags: sorted(activity.tags ?? {}),
  });
  return webhook(event.id, webhookName(type), activity, recordedAt, data);
}

/**
 * Tells that an address is not to be written to any more.
 * @param source the bounce or complaint that says so.
 */
export function suppressionWebhook(
  activity: WebhookActivity,
  source: EmailEvent,
  { reason }: Suppression,
  recordedAt: Date,
): WebhookEvent {
  const { id: sourceId, occurred_at, detail } = source;
  const id = suppressionAddedId(source);
  const data = () => ({
    ...mailOf(activity),
    reason,
    // The list of the project: that of a tenant is told of only where somebody changes it by hand.
    tenant_name: null,
    source_event_id: sourceId,
    event_timestamp: occurred_at.toISOString(),
    bounce_type: detail.bounce_type ?? null,
    bounce_subtype: detail.bounce_subtype ?? null,
    complaint_feedback_type: detail.complaint_feedback_type ?? null,
  });
  return webhook(id, "suppression.added", activity, recordedAt, data);
}

/** The id of the webhook that tells of the suppression that an event brings. */
export function suppressionAddedId({ id, occurred_at }: Pick<EmailEvent, "id" | "occurred_at">): string {
  return computedId(occurred_at.getTime(), [id, "suppression.added"]);
}

/**
 * Tells that somebody has put an address on the suppression list, or has taken it off.
 * @param unique any new id: nothing tells two such changes apart but their making.
 */
export function listChangeWebhook(
  unique: string,
  type: "suppression.added" | "suppression.removed",
  projectId: string,
  change: { recipient: string; reason: string; tenant_name: string | null; source_event_id: string | null },
  changedAt: Date,
): WebhookEvent {
  const data = () => ({
    activity_id: null,
    message_id: null,
    ...change,
    event_timestamp: changedAt.toISOString(),
    bounce_type: null,
    bounce_subtype: null,
    complaint_feedback_type: null,
  });
  const id = computedId(changedAt.getTime(), [unique]);
  return webhook(id, type, { project_id: projectId, is_test: false }, changedAt, data);
}

/** Tells of a custom event. @param recipient with the address in the form that is matched. */
export function trackedWebhook(
  recipient: { project_id: string; id: string; address: string; is_test: boolean },
  event: CustomEvent,
  recordedAt: Date,
): WebhookEvent {
  const data = () => ({
    event: event.name,
    email: recipient.address,
    recipient_id: recipient.id,
    event_id: event.id,
    properties: sorted(event.properties),
    event_timestamp: event.occurred_at.toISOString(),
  });
  return webhook(event.id, "event.tracked", recipient, recordedAt, data);
}

/** Shows that an endpoint receives what we send. @param unique any new id. */
export function testWebhook(
  unique: string,
  endpoint: { project_id: string; id: string },
  madeAt: Date,
): WebhookEvent {
  const data = () => ({
    endpoint_id: endpoint.id,
    message: "This is a test: nothing has happened.",
    event_timestamp: madeAt.toISOString(),
  });
  const id = computedId(madeAt.getTime(), [unique]);
  return webhook(id, "webhook.test", { project_id: endpoint.project_id, is_test: true }, madeAt, data);
}

/**
 * Tells the other endpoints of a project that we have stopped posting to one. Its URL is left out: it may hold a token.
 * @param unique any new id.
 */
export function endpointDisabledWebhook(
  unique: string,
  endpoint: { project_id: string; id: string; description: string | null },
  reason: "gone" | "failing",
  { failingSince, disabledAt }: { failingSince: Date | null; disabledAt: Date },
): WebhookEvent {
  const data = () => ({
    endpoint_id: endpoint.id,
    description: endpoint.description,
    reason,
    failing_since: failingSince?.toISOString() ?? null,
    event_timestamp: disabledAt.toISOString(),
  });
  const head = { project_id: endpoint.project_id, is_test: false };
  const id = computedId(disabledAt.getTime(), [unique]);
  return webhook(id, "endpoint.disabled", head, disabledAt, data);
}

/** Tells what SES says of an account or a tenant. */
export function accountStatusWebhook(
  { id, project_id, occurred_at, ...status }: KnownStatus & { project_id: string },
  recordedAt: Date,
): WebhookEvent {
  const data = () => ({ ...told(status), event_timestamp: occurred_at.toISOString() });
  return webhook(id, "account.status", { project_id, is_test: false }, recordedAt, data);
}

/** Every field of it by name, in this order: the bytes of a body do not depend on where it was read. */
function told(status: AccountStatus): AccountStatus {
  const { detail_type, kind, account_id, region, resources, tenant_name, reason } = status;
  const { recommendation_type, impact, origin } = status;
  return {
    ...{ detail_type, kind, status: status.status, account_id, region, resources, tenant_name, reason },
    ...{ recommendation_type, impact, origin },
  };
}

/** Postgres keeps objects without the order of their keys, so that a body built from what is stored needs an order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return value;
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, part]) => [key, sorted(part)]));
}

function mailOf(activity: WebhookActivity) {
  return {
    activity_id: activity.tagged_id ?? activity.id,
    message_id: activity.message_id,
    recipient: activity.recipient_as_sent,
  };
}

function webhook(
  id: string,
  type: WebhookEventType,
  { project_id, is_test }: { project_id: string; is_test: boolean },
  recordedAt: Date,
  data: () => object,
): WebhookEvent {
  const head = { event: type, timestamp: recordedAt.toISOString(), project_id, is_test };
  return { id, type, body: () => exactJson({ ...head, data: data() }) };
}
