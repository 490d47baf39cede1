import { z } from "zod";

/*
 * What Amazon SES publishes, in both formats (event publishing: `eventType`; identity feedback:
 * `notificationType`). AWS may leave out, add and retype fields, so that only what the product cannot do
 * without is demanded; a field of the wrong type is taken for absent.
 * Source: "Contents of event data that Amazon SES publishes to Amazon SNS", Amazon SES developer guide.
 */

const text = z.string().nullish().catch(null);
const texts = z.array(z.string()).nullish().catch(null);
const textLists = z.record(z.string(), z.array(z.string())).nullish().catch(null);
const recipientList = <Shape extends z.ZodRawShape>(more: Shape) =>
  z.array(z.object({ emailAddress: z.string(), ...more })).default([]);

const SesMail = z.object({
  messageId: z.string().min(1).max(512),
  timestamp: text,
  source: text,
  destination: texts,
  commonHeaders: z.object({ from: texts, subject: text }).nullish().catch(null),
  tags: textLists,
});
export type SesMail = z.infer<typeof SesMail>;

const engagement = { timestamp: text, ipAddress: text, userAgent: text };
const dsn = { status: text, diagnosticCode: text };

/** Event type as AWS writes it → the key that holds its detail, and the detail. */
const details = {
  Send: { key: "send", shape: z.object({}) },
  Delivery: {
    key: "delivery",
    shape: z.object({
      timestamp: text,
      recipients: texts,
      smtpResponse: text,
      reportingMTA: text,
      remoteMtaIp: text,
      processingTimeMillis: z.number().nullish().catch(null),
    }),
  },
  Bounce: {
    key: "bounce",
    shape: z.object({
      timestamp: text,
      feedbackId: text,
      bounceType: text,
      bounceSubType: text,
      bouncedRecipients: recipientList({ action: text, ...dsn }),
      reportingMTA: text,
    }),
  },
  Complaint: {
    key: "complaint",
    shape: z.object({
      timestamp: text,
      feedbackId: text,
      complaintSubType: text,
      complaintFeedbackType: text,
      userAgent: text,
      complainedRecipients: recipientList({}),
    }),
  },
  Reject: { key: "reject", shape: z.object({ reason: text }) },
  Open: { key: "open", shape: z.object(engagement) },
  Click: { key: "click", shape: z.object({ ...engagement, link: text, linkTags: textLists }) },
  "Rendering Failure": { key: "failure", shape: z.object({ templateName: text, errorMessage: text }) },
  DeliveryDelay: {
    key: "deliveryDelay",
    shape: z.object({
      timestamp: text,
      delayType: text,
      expirationTime: text,
      delayedRecipients: recipientList(dsn),
      reportingMTA: text,
    }),
  },
  Subscription: {
    key: "subscription",
    shape: z.object({
      timestamp: text,
      contactList: text,
      source: text,
      newTopicPreferences: z.unknown().optional(),
      oldTopicPreferences: z.unknown().optional(),
    }),
  },
} as const;

type SesEventType = keyof typeof details;
type Detail<Type extends SesEventType> = z.infer<(typeof details)[Type]["shape"]>;

/** One SES event with the detail of its type. */
export type SesEvent = {
  [Type in SesEventType]: { type: Type; mail: SesMail; detail: Detail<Type> };
}[SesEventType];

export type SesNotification =
  | { kind: "event"; event: SesEvent }
  /** Kept in the journal and counted, nothing else. */
  | { kind: "ignored"; reason: "set_up" | "inbound_mail" | "unknown_type" | "erased" }
  /** Kept in the journal with this reason. */
  | { kind: "invalid"; reason: string };

/** What the journal holds in place of a message about a person who was erased. */
export const erasedMessage = JSON.stringify({ erased: true });

/**
 * Reads the `Message` of an SNS notification (or the whole body, with raw delivery). Never throws; reasons name
 * fields, never values.
 */
export function parseSesNotification(message: string): SesNotification {
  if (message.startsWith("Successfully validated SNS topic")) return { kind: "ignored", reason: "set_up" };
  if (message === erasedMessage) return { kind: "ignored", reason: "erased" };
  const json = parseStorableJson(message);
  const head = z.looseObject({ eventType: text, notificationType: text }).safeParse(json);
  if (!head.success)
    return invalid(json === undefined ? "The message is not JSON" : "The message is not a JSON object");
  const type = head.data.eventType ?? head.data.notificationType;
  if (type === "AmazonSnsSubscriptionSucceeded") return { kind: "ignored", reason: "set_up" };
  if (type === "Received") return { kind: "ignored", reason: "inbound_mail" };
  if (!type) return invalid("Neither eventType nor notificationType is there: not an SES event");
  return isSesEventType(type) ? parseEvent(type, head.data) : { kind: "ignored", reason: "unknown_type" };
}

function isSesEventType(type: string): type is SesEventType {
  return Object.hasOwn(details, type);
}

function parseEvent(type: SesEventType, payload: Record<string, unknown>): SesNotification {
  const mail = SesMail.safeParse(payload["mail"]);
  if (!mail.success) return invalid(`mail${path(mail.error)} is missing or malformed`);
  const { key, shape } = details[type];
  const detail = shape.safeParse(payload[key] ?? {});
  if (!detail.success) return invalid(`${key}${path(detail.error)} is missing or malformed`);
  // The detail was parsed by the schema that stands beside `type`; TypeScript does not follow that pairing.
  return { kind: "event", event: { type, mail: mail.data, detail: detail.data } as SesEvent };
}

function path(error: z.ZodError): string {
  return (error.issues[0]?.path ?? []).map((part) => `.${String(part)}`).join("");
}

function invalid(reason: string): SesNotification {
  return { kind: "invalid", reason };
}

/**
 * JSON.parse whose strings Postgres can store: it has no place for NUL and for half a surrogate pair, both of
 * which JSON can spell.
 * @returns undefined when it is not JSON.
 */
function parseStorableJson(source: string): unknown {
  try {
    const mayHoldUnstorable = /\\u(0000|d[89a-f])/i.test(source);
    return JSON.parse(source.toWellFormed(), mayHoldUnstorable ? storable : undefined);
  } catch {
    return undefined;
  }
}

function storable(_key: string, value: unknown): unknown {
  if (typeof value === "string") return storableText(value);
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [storableText(key), part]));
}

function storableText(value: string): string {
  return value.replaceAll("\u0000", "\ufffd").toWellFormed();
}
