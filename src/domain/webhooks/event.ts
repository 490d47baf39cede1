import { computedId } from "../computed-id.ts";
import type { CustomEvent } from "../custom-event.ts";
import { exactJson, inStoredOrder } from "../exact-json.ts";
import type { AccountStatus, KnownStatus } from "../mail/account-status.ts";
import type { EmailEvent } from "../mail/email-event.ts";
import { type EventDetail, reasonsOf } from "../mail/event-detail.ts";
import { activityName, type WebhookEventType, webhookName } from "../mail/event-names.ts";
import type { MailFacts } from "../mail/mail-facts.ts";
import type { Suppression } from "../mail/suppression.ts";

/*
 * The payloads of webhooks. A new field is added here and to docs/webhooks.md; redeliveries read `activityFields` from
 * storage, and tests compare the page with what is sent.
 */

/** An event to deliver to webhook endpoints. */
export type WebhookEvent = {
  /** The `webhook-id`: the same in every attempt and redelivery. */
  id: string;
  type: WebhookEventType;
  /** Called once, and stored: its bytes are the same in every attempt and redelivery. */
  body(): string;
};

/** The fields of an activity that payloads are made from. */
export const activityFields = [
  "message_id",
  "recipient_as_sent",
  "tagged_id",
  "campaign_id",
  "automation_run_id",
  "template_id",
  "tenant_name",
  "tags",
  "is_test",
] as const satisfies readonly (keyof MailFacts)[];

export type WebhookActivity = Pick<MailFacts, (typeof activityFields)[number]> & {
  project_id: string;
  id: string;
};

/**
 * The webhook for an event of an email.
 * @param recordedAt when Fanmail recorded the event, which is later than when it happened.
 */
export function emailWebhook(activity: WebhookActivity, event: EmailEvent, recordedAt: Date): WebhookEvent {
  const { type, occurred_at, detail } = event;
  const data = () => ({
    ...mailOf(activity),
    event_type: activityName(type),
    event_timestamp: occurred_at.toISOString(),
    url_clicked: detail.url_clicked ?? null,
    ...feedbackOf(detail),
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
    tags: inStoredOrder(activity.tags ?? {}),
  });
  return webhook(event.id, webhookName(type), activity, recordedAt, data);
}

/**
 * The webhook for an address that an event has put on the suppression list.
 * @param source the bounce or complaint.
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
    // Events put addresses on the project's list alone; a tenant's list sends webhooks only when it is changed by hand.
    tenant_name: null,
    source_event_id: sourceId,
    event_timestamp: occurred_at.toISOString(),
    ...feedbackOf(detail),
  });
  return webhook(id, "suppression.added", activity, recordedAt, data);
}

/** The id of the `suppression.added` that an event causes. */
export function suppressionAddedId({ id, occurred_at }: Pick<EmailEvent, "id" | "occurred_at">): string {
  return computedId(occurred_at.getTime(), [id, "suppression.added"]);
}

/**
 * The webhook for an address that was put on the suppression list, or taken off it, by hand.
 * @param unique any new id: two such changes may be equal in everything else.
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
    ...feedbackOf({}),
  });
  const id = computedId(changedAt.getTime(), [unique]);
  return webhook(id, type, { project_id: projectId, is_test: false }, changedAt, data);
}

/** The webhook for a custom event. @param recipient with the normalised address. */
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
    properties: inStoredOrder(event.properties),
    event_timestamp: event.occurred_at.toISOString(),
  });
  return webhook(event.id, "event.tracked", recipient, recordedAt, data);
}

/** The webhook with which an endpoint is tested. @param unique any new id. */
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
 * The webhook by which a project's other endpoints learn that one was disabled. Its URL is left out: it may hold a token.
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

/** The webhook for what SES reports about an account or a tenant. */
export function accountStatusWebhook(
  { id, project_id, occurred_at, ...status }: KnownStatus & { project_id: string },
  recordedAt: Date,
): WebhookEvent {
  const data = () => ({ ...statusFields(status), event_timestamp: occurred_at.toISOString() });
  return webhook(id, "account.status", { project_id, is_test: false }, recordedAt, data);
}

/** Each field by name, in this order: the bytes of a body do not depend on where the status was read. */
function statusFields(status: AccountStatus): AccountStatus {
  const { detail_type, kind, account_id, region, resources, tenant_name, reason } = status;
  const { recommendation_type, impact, origin } = status;
  return {
    ...{ detail_type, kind, status: status.status, account_id, region, resources, tenant_name, reason },
    ...{ recommendation_type, impact, origin },
  };
}

function feedbackOf(detail: EventDetail) {
  return {
    bounce_type: detail.bounce_type ?? null,
    bounce_subtype: detail.bounce_subtype ?? null,
    complaint_feedback_type: detail.complaint_feedback_type ?? null,
  };
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
