import { z } from "zod";
import { uuidOrNull } from "../../../src/domain/computed-id.ts";
import { storableJson } from "../../../src/domain/json.ts";
import { accountStatusOf } from "../../../src/domain/mail/account-status.ts";
import type { EventBridgeEvent } from "../../../src/domain/mail/eventbridge.ts";
import type { SesEvent, SesNotification } from "../../../src/domain/mail/ses-notification.ts";
import { parseSesTime } from "../../../src/domain/time-text.ts";

/*
 * What Amazon SES publishes, described a second time with zod, slowly and apart from the product's reader: what the
 * reader finds in a payload must be what this description finds.
 */

const text = z.string().nullish().catch(null);
const count = z.number().nullish().catch(null);
const texts = listOf(z.string());
const textLists = z.record(z.string(), texts).nullish().catch(null);
const recipientList = <Shape extends z.ZodRawShape>(more: Shape) =>
  listOf(z.preprocess(asRecipient, named({ emailAddress: text, ...more })));

/** An unreadable entry does not affect the others; a single value in place of a list is a list of one. */
function listOf<Entry extends z.ZodType>(entry: Entry) {
  return z.preprocess(
    (value) => (value === null || value === undefined || Array.isArray(value) ? value : [value]),
    z.array(entry.nullable().catch(null)).nullish(),
  );
}

function asRecipient(entry: unknown): unknown {
  return typeof entry === "string" ? { emailAddress: entry } : entry;
}

/** An object that keeps all fields: those of the shape, and the others in `more`. */
function named<Shape extends z.ZodRawShape>(shape: Shape, known: readonly string[] = []) {
  const names = new Set([...Object.keys(shape), ...known]);
  const isNamed = (name: string, value: unknown) => names.has(name) && !isRetyped(shape[name], value);
  return z.preprocess(
    (value) => (isObject(value) ? { ...value, more: others(value, isNamed) } : value),
    z.object({ ...shape, more: z.record(z.string(), z.unknown()).optional() }),
  );
}

function isRetyped(schema: unknown, value: unknown): boolean {
  if (value === null) return false;
  return (schema === text && typeof value !== "string") || (schema === count && typeof value !== "number");
}

function others(
  value: object,
  isNamed: (name: string, value: unknown) => boolean,
): Record<string, unknown> | undefined {
  const fields = Object.entries(value).filter(
    ([name, field]) => name !== "__proto__" && !isNamed(name, field),
  );
  return fields.length > 0 ? Object.fromEntries(fields) : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Fields of the email: in `more` they would be stored with each of its events. */
const mailFields = [
  ...["sourceArn", "sourceIp", "sendingAccountId", "callerIdentity", "headers", "headersTruncated"],
];

const SesMail = named(
  {
    messageId: z.string().min(1).max(512),
    timestamp: text,
    source: text,
    destination: texts,
    commonHeaders: z.object({ from: texts, subject: text }).nullish().catch(null),
    tags: textLists,
  },
  mailFields,
);
const engagement = { timestamp: text, ipAddress: text, userAgent: text, isBotEvent: text };
const dsn = { status: text, diagnosticCode: text };

/** Event type as AWS writes it → the key of its detail, and the detail. */
const details = {
  Send: { key: "send", shape: named({}) },
  Delivery: {
    key: "delivery",
    shape: named({
      timestamp: text,
      recipients: texts,
      smtpResponse: text,
      reportingMTA: text,
      processingTimeMillis: count,
    }),
  },
  Bounce: {
    key: "bounce",
    shape: named({
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
    shape: named({
      timestamp: text,
      feedbackId: text,
      complaintSubType: text,
      complaintFeedbackType: text,
      userAgent: text,
      complainedRecipients: recipientList({}),
    }),
  },
  Reject: { key: "reject", shape: named({ reason: text }) },
  Open: { key: "open", shape: named(engagement) },
  Click: { key: "click", shape: named({ ...engagement, link: text, linkTags: textLists }) },
  "Rendering Failure": { key: "failure", shape: named({ templateName: text, errorMessage: text }) },
  DeliveryDelay: {
    key: "deliveryDelay",
    shape: named({
      timestamp: text,
      delayType: text,
      expirationTime: text,
      delayedRecipients: recipientList(dsn),
      reportingMTA: text,
    }),
  },
  Subscription: {
    key: "subscription",
    shape: named({
      timestamp: text,
      contactList: text,
      source: text,
      newTopicPreferences: z.unknown().optional(),
      oldTopicPreferences: z.unknown().optional(),
    }),
  },
} as const;

type SesEventType = keyof typeof details;

const Envelope = z.looseObject({
  id: text,
  time: text,
  "detail-type": text,
  source: text,
  account: text,
  region: text,
  resources: z.array(z.string()).catch([]),
  detail: z.unknown().optional(),
});
const SesDetail = z.union([z.object({ eventType: z.string() }), z.object({ notificationType: z.string() })]);
const Fields = z.record(z.string(), z.unknown());

/** What `parseSesNotification` must find in a payload. */
export function describedNotification(message: string): SesNotification {
  const json = storableJson(message);
  const bridged = describedBridge(json);
  return bridged === null ? parsePayload(json) : parseBridged(bridged);
}

function parseBridged(bridged: EventBridgeEvent): SesNotification {
  const { detail, source, time } = bridged;
  const status = accountStatusOf(bridged);
  if (status !== null) return { kind: "account_status", status };
  if (detail === null) return invalid("EventBridge event: detail is missing or malformed");
  const isEvent = "eventType" in detail || "notificationType" in detail;
  if (!isEvent && source === "aws.ses") return { kind: "ignored", reason: "unknown_type" };
  if (!isEvent) return invalid("EventBridge event: source is not aws.ses, and detail is not an SES event");
  const parsed = parsePayload(detail);
  return parsed.kind === "event" && time ? { ...parsed, publishedAt: time } : parsed;
}

const Head = z.looseObject({ eventType: text, notificationType: text });

function parsePayload(json: unknown): SesNotification {
  const head = Head.safeParse(json);
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
  const more = others(payload, (name) => ["eventType", "notificationType", "mail", key].includes(name));
  const parts = { type, mail: mail.data, detail: detail.data, ...(more && { more }) };
  // The schema beside `type` has parsed the detail, but TypeScript cannot follow that pairing.
  return { kind: "event", event: parts as SesEvent };
}

function path(error: z.ZodError): string {
  return (error.issues[0]?.path ?? []).map((part) => `.${String(part)}`).join("");
}

function invalid(reason: string): SesNotification {
  return { kind: "invalid", reason };
}

function describedBridge(value: unknown): EventBridgeEvent | null {
  if (SesDetail.safeParse(value).success) return null;
  const envelope = Envelope.safeParse(value);
  if (!envelope.success) return null;
  const { id, time, source, account, region, resources, "detail-type": detailType } = envelope.data;
  const detail = detailOf(envelope.data.detail);
  if (typeof detailType !== "string" && !SesDetail.safeParse(detail).success) return null;
  return {
    id: uuidOrNull(id),
    time: parseSesTime(time),
    detailType: detailType ?? null,
    source: source ?? null,
    account: account ?? null,
    region: region ?? null,
    resources,
    detail,
  };
}

function detailOf(detail: unknown): Record<string, unknown> | null {
  const read = typeof detail === "string" ? storableJson(detail) : detail;
  return Fields.safeParse(read).data ?? null;
}
