import { z } from "zod";
import { jsonOrNull } from "../../domain/json.ts";

/** The fields of an SNS envelope, as far as they are there. */
export type CapturedEnvelope = z.infer<typeof Envelope>;

/** A notification, in the form in which it was captured. */
export type Found =
  /** `text` is what was signed, and goes out byte for byte. */
  | { kind: "signed"; envelope: CapturedEnvelope; text: string }
  | { kind: "unsigned"; envelope: CapturedEnvelope }
  /** What `Message` would hold. */
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

/** A queue's message can hold an envelope, and that of a Lambda function a queue's; more is none of these forms. */
const maxDepth = 4;

/**
 * Finds the notifications in a captured value: SNS envelopes; messages of SQS, as it hands them out and as Lambda gets
 * them; SNS's events for Lambda; arrays of these. Everything else is taken for what SES published, alone or through
 * EventBridge.
 * @param text how the value is written.
 */
export function notificationsIn(value: unknown, text: string, depth = 0): Found[] {
  if (depth > maxDepth) return [payload(value)];
  if (typeof value === "string") return inText(value, depth);
  // The elements of an array are written again, as JSON that means the same.
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

/** Of messages that SQS hands out: `aws sqs receive-message`, or one of them. */
function bodiesIn(value: unknown): string[] | null {
  const many = Messages.safeParse(value);
  if (many.success) return many.data.Messages.map(({ Body }) => Body);
  const one = Message.safeParse(value);
  return one.success ? [one.data.Body] : null;
}

/** Of events of Lambda, or one record of such. */
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

/** Lambda's events spell two names in another way than what is posted, and hold null for what is absent. */
function envelopeOfLambda(sns: Record<string, unknown>): Record<string, unknown> {
  const names: Record<string, string> = {
    SigningCertUrl: "SigningCertURL",
    UnsubscribeUrl: "UnsubscribeURL",
  };
  const fields = Object.entries(sns).filter(([, value]) => value !== null);
  return Object.fromEntries(fields.map(([name, value]) => [names[name] ?? name, value]));
}

/** A text that holds JSON is read as such; another one is a message of SES in words. */
function inText(body: string, depth: number): Found[] {
  const value = jsonOrNull(body);
  return typeof value === "object" && value !== null
    ? notificationsIn(value, body, depth)
    : [{ kind: "payload", message: body, payload: body }];
}

function payload(value: unknown): Found {
  return { kind: "payload", message: JSON.stringify(value), payload: value };
}
