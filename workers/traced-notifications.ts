import { z } from "zod";
import { jsonOrNull } from "../src/domain/json.ts";
import type { Interpretation } from "../src/domain/mail/interpret-notification.ts";
import type { AcceptedNotification } from "../src/storage/journal.ts";
import type { AppliedNotification, MessageName, Tracing } from "../src/tracing/tracing.ts";

/** A notification of the journal, and what it reports. */
export type ReadEntry = { entry: AcceptedNotification; interpretation: Interpretation };

/** By event id, for deliveries; an event that several notifications report belongs to the first. Empty without traces. */
export function traceparentsOfEvents(tracing: Tracing, read: readonly ReadEntry[]): Map<string, string> {
  const traceparents = new Map<string, string>();
  if (!tracing.isOn) return traceparents;
  for (const { entry, interpretation } of read) {
    const message = messageName(entry);
    const traceparent = message && tracing.traceparentOf(message);
    if (!traceparent || interpretation.kind !== "events") continue;
    for (const { event } of interpretation.events) {
      if (!traceparents.has(event.id)) traceparents.set(event.id, traceparent);
    }
  }
  return traceparents;
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
