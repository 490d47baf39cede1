import { computedId, uuidOrNull } from "../../domain/computed-id.ts";
import { eventBridgeEvent } from "../../domain/mail/eventbridge.ts";
import { payloadTime } from "../../domain/mail/raw-notification.ts";
import { isTopicArn } from "../../domain/mail/sns-message.ts";
import { parseSesTime } from "../../domain/time-text.ts";
import type { CapturedEnvelope, Found } from "./captured-forms.ts";
import type { LocalSigner } from "./local-signer.ts";

/** A notification as it will be posted. */
export type Prepared = {
  topicArn: string;
  messageId: string;
  /** When SNS published it; null where a signed envelope does not tell. */
  publishedAt: Date | null;
  message: string;
  /** With the key in DATA_DIR. Otherwise it keeps the signature that it was captured with. */
  isSignedHere: boolean;
  /** The SNS envelope; signing costs about a millisecond. */
  body(): string;
};

/** Stands in for the time of a notification that has none and follows none. */
const earliest = new Date("2000-01-01T00:00:00Z");

/**
 * Makes the SNS messages of a capture: envelopes stay as they were captured, with their AWS signature. Those without
 * one and bare SES payloads (what raw delivery or the `Message` field holds) are signed with the local key, in a way
 * that a notification is the same SNS message in every replay.
 * @param topicArn of those that name no topic.
 */
export function envelopeMaker(signer: LocalSigner, topicArn: string): (found: Found) => Prepared {
  let previous = earliest;
  return (found) => {
    if (found.kind === "signed") return signedPrepared(found.envelope, found.text);
    const subject = found.kind === "unsigned" ? found.envelope.Subject : undefined;
    const wanted =
      found.kind === "unsigned" ? fromEnvelope(found.envelope, topicArn) : fromPayload(found, topicArn);
    // What has no time is taken to follow the one before.
    const publishedAt = wanted.publishedAt ?? previous;
    previous = publishedAt;
    const messageId =
      wanted.messageId ?? computedId(publishedAt.getTime(), [wanted.topicArn, wanted.message]);
    const named = { topicArn: wanted.topicArn, messageId, publishedAt, message: wanted.message };
    const signed = { ...named, message: wanted.signedMessage, ...(subject !== undefined && { subject }) };
    return { ...named, isSignedHere: true, body: () => signer.sign(signed) };
  };
}

function signedPrepared(envelope: CapturedEnvelope, text: string): Prepared {
  return {
    topicArn: envelope.TopicArn ?? "",
    messageId: envelope.MessageId ?? "",
    publishedAt: parseSesTime(envelope.Timestamp),
    message: envelope.Message,
    isSignedHere: false,
    body: () => text,
  };
}

type Wanted = {
  topicArn: string;
  messageId: string | null;
  publishedAt: Date | null;
  message: string;
  signedMessage: string;
};

/** Messages that came through a queue without an envelope name the queue. */
function fromEnvelope(envelope: CapturedEnvelope, topicArn: string): Wanted {
  const { TopicArn = "", MessageId, Timestamp, Message } = envelope;
  return {
    topicArn: isTopicArn(TopicArn) ? TopicArn : topicArn,
    messageId: uuidOrNull(MessageId),
    publishedAt: parseSesTime(Timestamp),
    message: Message,
    signedMessage: Message,
  };
}

function fromPayload({ message, payload }: Found & { kind: "payload" }, topicArn: string): Wanted {
  const bridged = eventBridgeEvent(payload);
  return {
    topicArn,
    messageId: bridged?.detail ? bridged.id : null,
    publishedAt: bridged?.time ?? payloadTime(bridged?.detail ?? payload),
    message,
    // SES ends what it publishes with a line feed.
    signedMessage: `${message}\n`,
  };
}
