import { z } from "zod";
import { computedId, uuidOrNull } from "../../domain/computed-id.ts";
import { jsonOrNull } from "../../domain/json.ts";
import type { EmailEventType } from "../../domain/mail/event-names.ts";
import { eventBridgeEvent } from "../../domain/mail/eventbridge.ts";
import { type Interpretation, interpretNotification } from "../../domain/mail/interpret-notification.ts";
import { payloadTime } from "../../domain/mail/raw-notification.ts";
import { isTopicArn } from "../../domain/mail/sns-message.ts";
import { parseSesTime } from "../../domain/time-text.ts";
import type { LocalSigner } from "./local-signer.ts";
import { type ReadOptions, readCapture } from "./read.ts";

/** Which notifications of a capture to post: all (null), those about one of these events, or those about none of them. */
export type EventFilter = { kind: "only" | "except"; types: ReadonlySet<EmailEventType> } | null;

export type PrepareOptions = ReadOptions & {
  /** A file, a directory, or `-` for standard input. */
  path: string;
  signer: LocalSigner;
  /** The topic for notifications that name none. */
  topicArn: string;
  filter?: EventFilter;
  /** The maximum number that pass the filter; null: all. */
  limit?: number | null;
};

/** What a capture contains at a position, counted from 1; `left-out` by the filter. */
export type Placed =
  | { kind: "notification"; position: number; prepared: Prepared }
  | { kind: "left-out"; position: number }
  | { kind: "unreadable"; position: number; place: string };

/** Reads a capture as notifications to post. */
export async function* prepareCapture(options: PrepareOptions): AsyncGenerator<Placed> {
  const { path, signer, topicArn, filter = null, limit = null } = options;
  const prepare = envelopeMaker(signer, topicArn);
  let position = 0;
  let chosen = 0;
  for await (const captured of readCapture(path, options)) {
    if (captured.kind === "unreadable") {
      yield { kind: "unreadable", position: ++position, place: captured.place };
      continue;
    }
    for (const found of notificationsIn(captured.value, captured.text)) {
      if (limit !== null && chosen >= limit) return;
      const prepared = prepare(found);
      position++;
      if (isChosen(prepared, filter)) {
        chosen++;
        yield { kind: "notification", position, prepared };
      } else yield { kind: "left-out", position };
    }
  }
}

/** The events of a notification; they do not depend on the project. */
export function interpretPrepared({ message, publishedAt }: Prepared): Interpretation {
  return interpretNotification("", JSON.stringify({ Message: message }), publishedAt ?? new Date(0));
}

function isChosen(prepared: Prepared, filter: EventFilter): boolean {
  if (filter === null) return true;
  const read = interpretPrepared(prepared);
  const isOfThem = read.kind === "events" && read.events.some(({ event }) => filter.types.has(event.type));
  return isOfThem === (filter.kind === "only");
}

/** A notification as it will be posted. */
export type Prepared = {
  topicArn: string;
  messageId: string;
  /** When SNS published it; null if a signed envelope does not say. */
  publishedAt: Date | null;
  message: string;
  /** Signed with the key in DATA_DIR. Otherwise it keeps its captured signature. */
  isSignedHere: boolean;
  /** The SNS envelope; signing takes about a millisecond. */
  body(): string;
};

/** The time of a notification that has none and comes first. */
const earliest = new Date("2000-01-01T00:00:00Z");

/**
 * Makes the SNS messages of a capture. Signed envelopes stay as captured, with their AWS signature. Unsigned ones and bare
 * SES payloads (the content of raw deliveries and of the `Message` field) are signed with the local key, so that a
 * notification is the same SNS message in every replay.
 * @param topicArn for those that name no topic.
 */
function envelopeMaker(signer: LocalSigner, topicArn: string): (found: Found) => Prepared {
  let previous = earliest;
  return (found) => {
    if (found.kind === "signed") return signedPrepared(found.envelope, found.text);
    const subject = found.kind === "unsigned" ? found.envelope.Subject : undefined;
    const wanted =
      found.kind === "unsigned" ? fromEnvelope(found.envelope, topicArn) : fromPayload(found, topicArn);
    // One without a time is assumed to follow the previous one.
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

/** Messages that came through an SQS queue without an envelope name that queue. */
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
    // SES ends its messages with a line feed.
    signedMessage: `${message}\n`,
  };
}

/** The fields of an SNS envelope, as far as present. */
type CapturedEnvelope = z.infer<typeof Envelope>;

/** A notification in its captured form. */
export type Found =
  /** `text` is what was signed, and is posted unchanged. */
  | { kind: "signed"; envelope: CapturedEnvelope; text: string }
  | { kind: "unsigned"; envelope: CapturedEnvelope }
  /** The content of `Message`. */
  | { kind: "payload"; message: string; payload: unknown };

const text = z.string().optional().catch(undefined);
const Envelope = z.looseObject({
  Type: text,
  MessageId: text,
  TopicArn: text,
  Subject: text,
  Timestamp: text,
  Message: z.string(),
  Signature: text,
});
const Messages = z.object({ Messages: z.array(z.looseObject({ Body: z.string() })) });
const Message = z.looseObject({ MessageId: z.string(), Body: z.string() });
const SqsRecord = z.looseObject({ messageId: z.string(), body: z.string() });
const SnsRecord = z.looseObject({ Sns: z.record(z.string(), z.unknown()) });
const LambdaRecord = z.union([SqsRecord, SnsRecord]);
const LambdaEvent = z.object({ Records: z.array(LambdaRecord) });

/** An SQS message can contain an envelope, and a Lambda event an SQS message; deeper nesting is none of these forms. */
const maxDepth = 4;

/**
 * Finds the notifications in a captured value: SNS envelopes; SQS messages as received and as passed to Lambda; SNS
 * events for Lambda; arrays of these. Everything else is treated as an SES payload, bare or from EventBridge.
 * @param text the value's JSON as captured.
 */
export function notificationsIn(value: unknown, text: string, depth = 0): Found[] {
  if (depth > maxDepth) return [payload(value)];
  if (typeof value === "string") return inText(value, depth);
  // Array elements are serialised again, as equivalent JSON.
  if (Array.isArray(value))
    return value.flatMap((one) => notificationsIn(one, JSON.stringify(one), depth + 1));
  const envelope = envelopeIn(value, text);
  if (envelope !== null) return [envelope];
  const bodies = bodiesIn(value);
  if (bodies !== null) return bodies.flatMap((body) => inText(body, depth + 1));
  const records = recordsIn(value);
  if (records !== null) return records.flatMap((record) => inRecord(record, depth));
  return [payload(value)];
}

function envelopeIn(value: unknown, text: string): Found | null {
  const envelope = Envelope.safeParse(value);
  if (!envelope.success) return null;
  const { Type, MessageId, TopicArn, Signature } = envelope.data;
  if (Type !== undefined && MessageId !== undefined && Signature !== undefined) {
    return { kind: "signed", envelope: envelope.data, text };
  }
  const isUnsigned = Type === "Notification" || (MessageId !== undefined && TopicArn !== undefined);
  return isUnsigned ? { kind: "unsigned", envelope: envelope.data } : null;
}

/** The bodies of received SQS messages: the output of `aws sqs receive-message`, or one message of it. */
function bodiesIn(value: unknown): string[] | null {
  const many = Messages.safeParse(value);
  if (many.success) return many.data.Messages.map(({ Body }) => Body);
  const one = Message.safeParse(value);
  return one.success ? [one.data.Body] : null;
}

/** The records of a Lambda event, or a single record. */
function recordsIn(value: unknown): z.infer<typeof LambdaRecord>[] | null {
  const event = LambdaEvent.safeParse(value);
  if (event.success) return event.data.Records;
  const record = LambdaRecord.safeParse(value);
  return record.success ? [record.data] : null;
}

function inRecord(record: z.infer<typeof LambdaRecord>, depth: number): Found[] {
  const sns = SnsRecord.safeParse(record);
  if (!sns.success) return inText(SqsRecord.parse(record).body, depth + 1);
  const envelope = envelopeOfLambda(sns.data.Sns);
  return notificationsIn(envelope, JSON.stringify(envelope), depth + 1);
}

/** Lambda events spell two field names differently from posted envelopes, and use null for absent fields. */
function envelopeOfLambda(sns: Record<string, unknown>): Record<string, unknown> {
  const names: Record<string, string> = {
    SigningCertUrl: "SigningCertURL",
    UnsubscribeUrl: "UnsubscribeURL",
  };
  const fields = Object.entries(sns).filter(([, value]) => value !== null);
  return Object.fromEntries(fields.map(([name, value]) => [names[name] ?? name, value]));
}

/** A text that is a JSON object or array is parsed; any other is a plain-text message from SES. */
function inText(body: string, depth: number): Found[] {
  const value = jsonOrNull(body);
  return typeof value === "object" && value !== null
    ? notificationsIn(value, body, depth)
    : [{ kind: "payload", message: body, payload: body }];
}

function payload(value: unknown): Found {
  return { kind: "payload", message: JSON.stringify(value), payload: value };
}
