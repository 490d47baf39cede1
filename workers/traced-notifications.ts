import { z } from "zod";
import { jsonOrNull } from "../src/domain/json.ts";
import type { Interpretation } from "../src/domain/mail/interpret-notification.ts";
import type { AcceptedNotification } from "../src/storage/journal.ts";
import type { AppliedNotification, Tracing } from "../src/tracing/tracing.ts";

/** A notification of the journal, and what it tells. @property traceparent null where it is not traced. */
export type ReadEntry = {
  entry: AcceptedNotification;
  interpretation: Interpretation;
  traceparent: string | null;
};

const Envelope = z.object({ TopicArn: z.string(), MessageId: z.string() });

/** The trace of a notification follows from its envelope, so that the journal holds nothing about traces. */
export function traceparentOf(tracing: Tracing, { body }: AcceptedNotification): string | null {
  // The body has been read once already, and is read again for traces alone.
  if (!tracing.isOn) return null;
  const envelope = Envelope.safeParse(jsonOrNull(body));
  if (!envelope.success) return null;
  const { TopicArn, MessageId } = envelope.data;
  return tracing.traceparentOf({ topicArn: TopicArn, messageId: MessageId });
}

/** By the ids of events; the first notification that tells of one stands for it. */
export function traceparentsOfEvents(read: readonly ReadEntry[]): Map<string, string> {
  const traceparents = new Map<string, string>();
  for (const { interpretation, traceparent } of read) {
    if (traceparent === null || interpretation.kind !== "events") continue;
    for (const { event } of interpretation.events) {
      if (!traceparents.has(event.id)) traceparents.set(event.id, traceparent);
    }
  }
  return traceparents;
}

export function tracedNotification({ interpretation, traceparent }: ReadEntry): AppliedNotification {
  const events = interpretation.kind === "events" ? interpretation.events : [];
  return {
    traceparent,
    outcome: interpretation.kind,
    eventType: events[0]?.event.type ?? null,
    recipients: events.length,
  };
}
