import { z } from "zod";
import { parseSesTime } from "./ses-time.ts";

/** What SES published, as raw delivery brings it: without the SNS envelope and its signature. */
export type RawNotification = {
  /** The ARN of the topic, or that of the queue where the topic is not told. */
  sourceArn: string;
  /** A UUID that stays the same when it is delivered again. */
  messageId: string;
  /** When it was sent, where the carrier tells; the same when it is delivered again. */
  sentAt: Date | null;
  message: string;
};

/** The envelope that the journal keeps a raw notification in, as SNS would have made it but for the signature. */
export function unsignedEnvelope({ sourceArn, messageId, message }: RawNotification, sentAt: Date): string {
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
