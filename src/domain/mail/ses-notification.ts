import { isObject, storableJson } from "../json.ts";
import { accountStatusOf, type ReportedStatus } from "./account-status.ts";
import { type EventBridgeEvent, eventBridgeEvent } from "./eventbridge.ts";
import {
  anything,
  count,
  type NamedFields,
  namedFields,
  onlyFields,
  recipientList,
  text,
  textLists,
  texts,
  unreadableIn,
  withField,
} from "./ses-fields.ts";
import type { UnnamedFields } from "./unnamed-fields.ts";

/*
 * What Amazon SES publishes, in both formats (event publishing: `eventType`; identity feedback: `notificationType`).
 * AWS may remove, add and retype fields, so only the indispensable ones are required: a field of the wrong type
 * counts as absent, and a list entry that cannot be read as null. Unnamed fields are kept in `more`.
 * Source: "Contents of event data that Amazon SES publishes to Amazon SNS", Amazon SES developer guide.
 */

/** Fields of the email: in `more` they would be stored with each of its events. */
const mailFields = [
  ...["sourceArn", "sourceIp", "sendingAccountId", "callerIdentity", "headers", "headersTruncated"],
];

const mailShape = {
  messageId: text,
  timestamp: text,
  source: text,
  destination: texts,
  commonHeaders: onlyFields({ from: texts, subject: text }),
  tags: textLists,
};
const sesMail = namedFields(mailShape, mailFields);
export type SesMail = Omit<NamedFields<typeof mailShape>, "messageId"> & { messageId: string };

const engagement = { timestamp: text, ipAddress: text, userAgent: text, isBotEvent: text };
const dsn = { status: text, diagnosticCode: text };

/** Characters; the messageId is part of keys. */
const maxMessageId = 512;

/** Event type as AWS writes it → the key of its detail, and the detail. */
const details = {
  Send: { key: "send", shape: namedFields({}) },
  Delivery: {
    key: "delivery",
    shape: namedFields({
      timestamp: text,
      recipients: texts,
      smtpResponse: text,
      reportingMTA: text,
      processingTimeMillis: count,
    }),
  },
  Bounce: {
    key: "bounce",
    shape: namedFields({
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
    shape: namedFields({
      timestamp: text,
      feedbackId: text,
      complaintSubType: text,
      complaintFeedbackType: text,
      userAgent: text,
      complainedRecipients: recipientList({}),
    }),
  },
  Reject: { key: "reject", shape: namedFields({ reason: text }) },
  Open: { key: "open", shape: namedFields(engagement) },
  Click: { key: "click", shape: namedFields({ ...engagement, link: text, linkTags: textLists }) },
  "Rendering Failure": { key: "failure", shape: namedFields({ templateName: text, errorMessage: text }) },
  DeliveryDelay: {
    key: "deliveryDelay",
    shape: namedFields({
      timestamp: text,
      delayType: text,
      expirationTime: text,
      delayedRecipients: recipientList(dsn),
      reportingMTA: text,
    }),
  },
  Subscription: {
    key: "subscription",
    shape: namedFields({
      timestamp: text,
      contactList: text,
      source: text,
      newTopicPreferences: anything,
      oldTopicPreferences: anything,
    }),
  },
} as const;

type SesEventType = keyof typeof details;
type Detail<Type extends SesEventType> = NonNullable<ReturnType<(typeof details)[Type]["shape"]["read"]>>;

/**
 * One SES event with the detail of its type.
 * @property more unnamed fields besides the mail and the detail.
 */
export type SesEvent = {
  [Type in SesEventType]: { type: Type; mail: SesMail; detail: Detail<Type>; more?: UnnamedFields };
}[SesEventType];

export type SesNotification =
  /** @property publishedAt if EventBridge delivered it. */
  | { kind: "event"; event: SesEvent; publishedAt?: Date }
  | { kind: "account_status"; status: ReportedStatus }
  /** Kept in the journal and counted, nothing more. */
  | { kind: "ignored"; reason: "set_up" | "inbound_mail" | "unknown_type" | "erased" }
  /** Kept in the journal with this reason. */
  | { kind: "invalid"; reason: string };

/** Replaces a message about an erased person in the journal. */
export const erasedMessage = JSON.stringify({ erased: true });

/**
 * Reads the `Message` of an SNS notification (or the whole body with raw delivery): an SES event, alone or in an
 * EventBridge envelope. Never throws; reasons name fields, never values.
 */
export function parseSesNotification(message: string): SesNotification {
  if (message.startsWith("Successfully validated SNS topic")) return { kind: "ignored", reason: "set_up" };
  if (message === erasedMessage) return { kind: "ignored", reason: "erased" };
  const json = storableJson(message);
  const bridged = eventBridgeEvent(json);
  return bridged === null ? parsePayload(json) : parseBridged(bridged);
}

/** Other sources count too: somebody may have put SES events on a bus again. */
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

function parsePayload(json: unknown): SesNotification {
  if (!isObject(json))
    return invalid(json === undefined ? "The message is not JSON" : "The message is not a JSON object");
  const type = text.read(json["eventType"]) ?? text.read(json["notificationType"]);
  if (type === "AmazonSnsSubscriptionSucceeded") return { kind: "ignored", reason: "set_up" };
  if (type === "Received") return { kind: "ignored", reason: "inbound_mail" };
  if (!type) return invalid("Neither eventType nor notificationType is there: not an SES event");
  return isSesEventType(type) ? parseEvent(type, json) : { kind: "ignored", reason: "unknown_type" };
}

/** The number of unreadable list entries. */
export function countUnreadable({ mail, type, detail }: SesEvent): number {
  const inMail = unreadableIn(mail) + unreadableIn(mail.commonHeaders) + unreadableIn(mail.tags);
  // Preferences are kept as they are, whatever they hold.
  if (type === "Subscription") return inMail;
  return inMail + unreadableIn(detail) + (type === "Click" ? unreadableIn(detail.linkTags) : 0);
}

function isSesEventType(type: string): type is SesEventType {
  return Object.hasOwn(details, type);
}

function parseEvent(type: SesEventType, payload: Record<string, unknown>): SesNotification {
  const mail = sesMail.read(payload["mail"]);
  if (mail === null) return invalid("mail is missing or malformed");
  if (!isOfMail(mail)) return invalid("mail.messageId is missing or malformed");
  const { key, shape } = details[type];
  const detail = shape.read(payload[key] ?? {});
  if (detail === null) return invalid(`${key} is missing or malformed`);
  const parts: { type: SesEventType; mail: SesMail; detail: object; more?: UnnamedFields } = {
    type,
    mail,
    detail,
  };
  const more = unnamedBeside(key, payload);
  if (more !== undefined) parts.more = more;
  // The shape beside `type` has read the detail, but TypeScript cannot follow that pairing.
  return { kind: "event", event: parts as SesEvent };
}

function isOfMail(mail: NamedFields<typeof mailShape>): mail is SesMail {
  const { messageId } = mail;
  return typeof messageId === "string" && messageId.length > 0 && messageId.length <= maxMessageId;
}

/** Fields of a payload besides its type, its mail and its detail. */
function unnamedBeside(key: string, payload: Record<string, unknown>): UnnamedFields | undefined {
  let more: UnnamedFields | undefined;
  for (const name in payload) {
    if (name === key || name === "mail" || name === "eventType" || name === "notificationType") continue;
    more = withField(more, name, payload[name]);
  }
  return more;
}

function invalid(reason: string): SesNotification {
  return { kind: "invalid", reason };
}
