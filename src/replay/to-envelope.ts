import { z } from "zod";
import { parseSesTime } from "../domain/ses-time.ts";
import type { LocalSigner } from "./local-signer.ts";

const Envelope = z.looseObject({
  Type: z.string(),
  MessageId: z.string(),
  Message: z.string(),
  Signature: z.string(),
});
const timed = z.looseObject({ timestamp: z.string().nullish().catch(null) });

/** Stands in for the time of a notification that has none and follows none. */
const earliest = new Date("2000-01-01T00:00:00Z");

/**
 * Makes the SNS messages of a capture: envelopes stay as they were captured, with their AWS signature; bare SES
 * payloads (what raw delivery or the `Message` field holds) are wrapped and signed with the local key.
 */
export function envelopeMaker(
  signer: LocalSigner,
  topicArn: string,
): (captured: { value: unknown; text: string }) => string {
  let previous = earliest;
  return ({ value, text }) => {
    if (Envelope.safeParse(value).success) return text;
    // A payload without a time is taken to follow the one before, so that it is the same in every replay.
    previous = timeOf(value) ?? previous;
    const message = typeof value === "string" ? value : JSON.stringify(value);
    return signer.wrap(topicArn, message, previous);
  };
}

/** The latest time of a payload: that of its detail, else that of the mail. */
function timeOf(payload: unknown): Date | null {
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
