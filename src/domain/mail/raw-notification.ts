import { z } from "zod";
import { computedId } from "../computed-id.ts";
import { jsonOrNull } from "../json.ts";
import { parseSesTime } from "../time-text.ts";
import { eventBridgeEvent } from "./eventbridge.ts";

/** What SES published, as raw delivery brings it: without the SNS envelope and its signature. */
export type RawNotification = {
  /** The ARN of the topic, that of the queue where the topic is not told, or `rawTokenSource`. */
  sourceArn: string;
  /** A UUID that stays the same when it is delivered again; null where the carrier has none. */
  messageId: string | null;
  /** When it was sent, where the carrier tells; the same when it is delivered again. */
  sentAt: Date | null;
  message: string;
};

/** What stands in the list of topics for what is posted with SNS_RAW_TOKEN and names no topic. */
export const rawTokenSource = "SNS_RAW_TOKEN";

/** What a repeat is found by. @property sentAt part of it, so it must not be the time of arrival where there is another. */
export type RawName = { messageId: string; sentAt: Date };

/** An event of EventBridge is the same one through whichever rule it comes, so its own id and time name it. */
export function nameOfRaw({ sourceArn, messageId, sentAt, message }: RawNotification, now: Date): RawName {
  const payload = jsonOrNull(message);
  const bridged = eventBridgeEvent(payload);
  const at = bridged?.time ?? sentAt ?? payloadTime(bridged?.detail ?? payload) ?? now;
  // A transformer that drops the detail leaves the id: it must not stand in the way of the whole event.
  const ownId = bridged?.detail ? bridged.id : null;
  return { sentAt: at, messageId: ownId ?? messageId ?? computedId(at.getTime(), [sourceArn, message]) };
}

/** The envelope that the journal keeps a raw notification in, as SNS would have made it but for the signature. */
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

/** The latest time in a payload: that of its detail, else that of the mail. */
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
