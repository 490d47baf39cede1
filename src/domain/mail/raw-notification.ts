import { z } from "zod";
import { computedId } from "../computed-id.ts";
import { jsonOrNull } from "../json.ts";
import { parseSesTime } from "../time-text.ts";
import { eventBridgeEvent } from "./eventbridge.ts";

/** What SES published, as raw delivery brings it: without SNS envelope and signature. */
export type RawNotification = {
  /** The topic ARN; the queue ARN if the topic is unknown; or `rawTokenSource`. */
  sourceArn: string;
  /** A UUID that stays the same when it is delivered again; null if the carrier has none. */
  messageId: string | null;
  /** When it was sent, if the carrier says so; the same when it is delivered again. */
  sentAt: Date | null;
  message: string;
};

/** Replaces the topic ARN for notifications that are posted with SNS_RAW_TOKEN and name no topic. */
export const rawTokenSource = "SNS_RAW_TOKEN";

/**
 * Identifies repeats.
 * @property sentAt is part of the identity, so it is the time of arrival only as a last resort.
 */
export type RawName = { messageId: string; sentAt: Date };

/** An EventBridge event keeps its id and time through every rule, so they identify it. */
export function nameOfRaw({ sourceArn, messageId, sentAt, message }: RawNotification, now: Date): RawName {
  const payload = jsonOrNull(message);
  const bridged = eventBridgeEvent(payload);
  const at = bridged?.time ?? sentAt ?? payloadTime(bridged?.detail ?? payload) ?? now;
  // A transformer may remove the detail and keep the id, which must not hide the whole event.
  const ownId = bridged?.detail ? bridged.id : null;
  return { sentAt: at, messageId: ownId ?? messageId ?? computedId(at.getTime(), [sourceArn, message]) };
}

/** The envelope in which the journal keeps a raw notification: SNS's form without the signature. */
export function unsignedEnvelope(
  { sourceArn, message }: RawNotification,
  { messageId, sentAt }: RawName,
): string {
  return JSON.stringify({
    Type: "Notification",
    MessageId: messageId,
    TopicArn: sourceArn,
    Timestamp: sentAt.toISOString(),
    Message: message,
  });
}

const timed = z.looseObject({ timestamp: z.string().nullish().catch(null) });

/** The latest time in a payload: that of its detail, or of the mail. */
export function payloadTime(payload: unknown): Date | null {
  const parts = z.record(z.string(), z.unknown()).safeParse(payload);
  if (!parts.success) return null;
  const times = Object.values(parts.data).flatMap((part) => {
    const detail = timed.safeParse(part);
    return parseSesTime(detail.data?.timestamp) ?? [];
  });
  return times.reduce<Date | null>(
    (latest, time) => (latest !== null && latest > time ? latest : time),
    null,
  );
}
