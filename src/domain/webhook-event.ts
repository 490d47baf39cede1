import type { EmailEvent } from "./email-event.ts";
import { activityName, webhookName } from "./event-names.ts";
import type { MailFacts } from "./mail-facts.ts";

/** The activity as far as a webhook tells of it. */
export type WebhookActivity = Pick<
  MailFacts,
  | "message_id"
  | "recipient_as_sent"
  | "tagged_id"
  | "campaign_id"
  | "automation_run_id"
  | "template_id"
  | "tags"
  | "is_test"
> & { id: string };

/**
 * The body that tells of an email event. It is made once and stored, so that its bytes are the same in every
 * attempt and replay.
 * @param recordedAt when we came to know of the event, which is not when it happened.
 */
export function webhookBody(
  projectId: string,
  activity: WebhookActivity,
  { type, occurred_at, detail }: EmailEvent,
  recordedAt: Date,
): string {
  return JSON.stringify({
    event: webhookName(type),
    timestamp: recordedAt.toISOString(),
    project_id: projectId,
    is_test: activity.is_test,
    data: {
      activity_id: activity.tagged_id ?? activity.id,
      message_id: activity.message_id,
      recipient: activity.recipient_as_sent,
      event_type: activityName(type),
      event_timestamp: occurred_at.toISOString(),
      url_clicked: detail.url_clicked ?? null,
      bounce_type: detail.bounce_type ?? null,
      bounce_subtype: detail.bounce_subtype ?? null,
      complaint_feedback_type: detail.complaint_feedback_type ?? null,
      user_agent: detail.user_agent ?? null,
      ip_address: detail.ip_address ?? null,
      campaign_id: activity.campaign_id,
      automation_run_id: activity.automation_run_id,
      template_id: activity.template_id,
      tags: activity.tags ?? {},
    },
  });
}
