import { z } from "zod";
import { reasonsOf } from "../../domain/mail/event-detail.ts";
import { activityName } from "../../domain/mail/event-names.ts";
import { explain } from "../../domain/mail/explanation.ts";
import { signOfToday } from "../../domain/mail/machine-traffic.ts";
import { timeOf } from "../../domain/mail/same-feedback.ts";
import type { StoredEvent } from "../../storage/events.ts";
import type { ReadCustomEvent, ReadEmailEvent } from "./events.sql.ts";

const text = z.string().nullable();

/** Fields of an event of an email; null where they do not apply. */
export const eventDetailFields = {
  user_agent: text,
  ip_address: text,
  is_bot_event: text,
  url_clicked: text,
  bounce_type: text,
  bounce_subtype: text,
  complaint_feedback_type: text,
  status_code: text.meta({ description: "The enhanced status code (RFC 3463) of a bounce or delay" }),
  diagnostic_code: text.meta({ description: "The receiving server's message of a bounce or delay" }),
  smtp_response: text.meta({ description: "The receiving server's answer to a delivery" }),
  delay_type: text,
  reject_reason: text.meta({ description: "Of a reject or rendering failure" }),
  reported_address: text.meta({
    description:
      "The mailbox that a server reported, if the email was not sent to it, for example after forwarding",
  }),
  created_at: z.string(),
  explanation: text,
  // Only where it applies.
  auto_reply: z.literal(true).optional(),
  recipient_certain: z.literal(false).optional(),
  discarded: z.string().optional(),
  kept: z.string().optional(),
  machine: z.string().optional(),
  reclassified: z.literal(true).optional(),
  more: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ description: "Everything else that SES sent, under its own names" }),
};

export function presentDetail(event: Pick<StoredEvent, "type" | "detail" | "discarded" | "created_at">) {
  const { detail } = event;
  return {
    user_agent: detail.user_agent ?? null,
    ip_address: detail.ip_address ?? null,
    is_bot_event: detail.is_bot_event ?? null,
    url_clicked: detail.url_clicked ?? null,
    bounce_type: detail.bounce_type ?? null,
    bounce_subtype: detail.bounce_subtype ?? null,
    complaint_feedback_type: detail.complaint_feedback_type ?? null,
    ...reasonsOf(event),
    created_at: event.created_at.toISOString(),
    explanation: explain(event),
    ...(detail.auto_reply && { auto_reply: true as const }),
    ...(detail.recipient_certain === false && { recipient_certain: false as const }),
    ...(event.discarded !== null && { discarded: event.discarded }),
    ...(detail.kept && { kept: detail.kept }),
    ...(detail.machine && { machine: signOfToday(detail.machine) }),
    ...(detail.reclassified && { reclassified: true as const }),
    ...(detail.more && { more: detail.more }),
  };
}

export const CustomEventView = z.object({
  id: z.string(),
  email: z.string(),
  event: z.string(),
  properties: z.record(z.string(), z.unknown()),
  timestamp: z.string(),
  recipient_id: z.string(),
  created_at: z.string(),
  discarded: z.string().optional(),
  kept: z.string().optional(),
});

/** An event of an email on its own; in the timeline of its activity, fields have other names. */
export const EmailEventView = z.object({
  id: z.string(),
  email: z.string(),
  event: z.string(),
  timestamp: z.string(),
  activity_id: z.string(),
  message_id: z.string(),
  ...eventDetailFields,
});

export function presentCustomEvent(event: ReadCustomEvent): z.input<typeof CustomEventView> {
  return {
    id: event.id,
    email: event.email,
    event: event.name,
    properties: event.properties,
    timestamp: event.occurred_at.toISOString(),
    recipient_id: event.recipient_id,
    created_at: event.created_at.toISOString(),
    ...(event.discarded !== null && { discarded: event.discarded }),
    ...(event.kept !== null && { kept: event.kept }),
  };
}

export function presentEmailEvent(event: ReadEmailEvent): z.input<typeof EmailEventView> {
  return {
    id: event.id,
    email: event.email,
    event: activityName(event.type),
    timestamp: timeOf(event).toISOString(),
    activity_id: event.activity_id,
    message_id: event.message_id,
    ...presentDetail(event),
  };
}
