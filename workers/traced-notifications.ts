import { z } from "zod";
import { jsonOrNull } from "../src/domain/json.ts";
import type { Interpretation } from "../src/domain/mail/interpret-notification.ts";
import type { AcceptedNotification } from "../src/storage/journal.ts";
import type { AppliedNotification, MessageName, Tracing } from "../src/tracing/tracing.ts";
import type { OwedWebhook } from "../src/webhooks/owe-deliveries.ts";
import type { EventWebhook } from "./apply-activities.ts";

/** A notification of the journal, and what it reports. */
export type ReadEntry = { entry: AcceptedNotification; interpretation: Interpretation };

/** Adds the traces of their notifications; an event that several notifications report belongs to the first one traced. */
export function tracedWebhooks(
  tracing: Tracing,
  read: readonly ReadEntry[],
  webhooks: readonly EventWebhook[],
): readonly OwedWebhook[] {
  if (!tracing.isOn) return webhooks;
  const traceparents = new Map<string, string>();
  for (const { entry, interpretation } of read) {
    if (interpretation.kind !== "events") continue;
    const message = messageName(entry);
    const traceparent = message && tracing.traceparentOf(message);
    for (const { event } of interpretation.events)
      if (traceparent && !traceparents.has(event.id)) traceparents.set(event.id, traceparent);
  }
  return webhooks.map((webhook) => ({
    ...webhook,
    traceparent: traceparents.get(webhook.eventId) ?? null,
  }));
}

/** What to report to traces once the transaction is committed; nothing without traces. */
export function appliedNotifications(tracing: Tracing, read: readonly ReadEntry[]): AppliedNotification[] {
  if (!tracing.isOn) return [];
  return read.map(({ entry, interpretation }) => {
    const events = interpretation.kind === "events" ? interpretation.events : [];
    return {
      message: messageName(entry),
      outcome: interpretation.kind,
      eventType: events[0]?.event.type ?? null,
      recipients: events.length,
    };
  });
}

const Envelope = z.object({ TopicArn: z.string(), MessageId: z.string() });

/** The trace follows from the envelope, so that the journal holds nothing about traces. */
function messageName({ body }: AcceptedNotification): MessageName | null {
  const envelope = Envelope.safeParse(jsonOrNull(body));
  return envelope.success ? { topicArn: envelope.data.TopicArn, messageId: envelope.data.MessageId } : null;
}
