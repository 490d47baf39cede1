import { parseAddress } from "./address.ts";
import { decidedKeys } from "./mail/decision.ts";
import { withReadDetail } from "./mail/eventbridge.ts";
import { interpretNotification } from "./mail/interpret-notification.ts";
import { erasedMessage } from "./mail/ses-notification.ts";

/** A person whose data is erased. */
export type ErasedPerson = {
  /** In the form that is matched. */
  address: string;
  /** Replaces the address. */
  pseudonym: string;
};

/** `.invalid` is reserved (RFC 2606), so no such address can exist. */
export const erasedDomain = "erased.invalid";

/** Stands for the person in late notifications about an email that was erased before. */
export const erasedAddress = `erased@${erasedDomain}`;

/**
 * An address that reveals nothing about the person.
 * @param id of the erasure; it must be random.
 */
export function pseudonymOf(id: string): string {
  return `erased-${id}@${erasedDomain}`;
}

export function isPseudonym(address: string): boolean {
  return address.endsWith(`@${erasedDomain}`);
}

/** What an email event keeps after erasure: the fields that counts are based on. */
export const impersonalDetail = [
  ...decidedKeys,
  "action",
  "bounce_subtype",
  "bounce_type",
  "complaint_feedback_type",
  "complaint_subtype",
  "delay_type",
  "earliest_at",
  "is_bot_event",
  "processing_time_ms",
  "recipient_certain",
  "recipient_listed",
  "status_code",
];

/**
 * Erases a person from a body of the journal: blanks messages about that person alone, and elsewhere replaces the
 * address with the pseudonym. The signature no longer fits and is removed.
 * @returns null if the body does not mention the person.
 */
export function erasedNotification(
  projectId: string,
  notification: { body: string; sns_timestamp: Date },
  person: ErasedPerson,
): string | null {
  const { body, sns_timestamp } = notification;
  if (!mayMention(body, person)) return null;
  const read = interpretNotification(projectId, body, sns_timestamp);
  const isOfThemAlone =
    read.kind === "events" && read.events.every(({ facts }) => facts.recipient === person.address);
  const { Signature: _, ...envelope }: { Signature?: string; Message: string } = JSON.parse(body);
  const message = isOfThemAlone ? erasedMessage : erasedText(envelope.Message, person);
  return message === envelope.Message ? null : JSON.stringify({ ...envelope, Message: message });
}

/**
 * As `erasedNotification`, for the body of a webhook, which is about one person.
 * @param until events that happened and were recorded later stay.
 */
export function erasedWebhook(body: string, person: ErasedPerson, until: Date): string | null {
  if (!mayMention(body, person)) return null;
  const { data, ...head }: { timestamp: string; data: { event_timestamp: string } } = JSON.parse(body);
  const isOfThem = JSON.stringify(erasedValue(data, person)) !== JSON.stringify(data);
  // Custom events may have a future time, and email events may be recorded late.
  const earliestMs = Math.min(Date.parse(head.timestamp), Date.parse(data.event_timestamp));
  if (!isOfThem || earliestMs > until.getTime()) return null;
  return JSON.stringify({ ...head, data: erasedData });
}

const erasedData = { erased: true };

/** The end of an erased webhook body. Such a webhook is not posted. */
export const erasedWebhookEnd = `"data":${JSON.stringify(erasedData)}}`;

/** A cheap check: nearly all bodies are about others, and parsing them costs more. */
function mayMention(body: string, { address }: ErasedPerson): boolean {
  const local = address.slice(0, address.lastIndexOf("@"));
  // JSON and URLs may escape other characters.
  return !/^[a-z0-9._-]+$/.test(local) || body.toLowerCase().includes(local);
}

/** Parses a text that is JSON itself, such as the Message of SES. */
function erasedText(text: string, person: ErasedPerson): string {
  let json: unknown;
  try {
    json = withReadDetail(JSON.parse(text));
  } catch {
    return erasedSpelling(text, person);
  }
  const erased = JSON.stringify(erasedValue(json, person));
  return erased === JSON.stringify(json) ? text : erased;
}

function erasedValue(value: unknown, person: ErasedPerson): unknown {
  if (typeof value === "string") return erasedSpelling(value, person);
  if (Array.isArray(value)) return value.map((part) => erasedValue(part, person));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [erasedSpelling(key, person), erasedValue(part, person)]),
  );
}

/**
 * A text that looks like an address, also in a URL parameter. Its length is bounded, so that long texts are read in
 * linear time.
 */
const addressLike =
  /(?:"(?:[^"\\]|\\.){1,80}"|[^\s<>()[\]\\,;:"'@?&=/%]{1,320})(?:@|%40)[\p{L}\p{M}\p{N}.-]{1,320}/giu;

function erasedSpelling(text: string, { address, pseudonym }: ErasedPerson): string {
  // Including what surrounds it, such as a name in a comment.
  if (text.includes("@") && parseAddress(text)?.matched === address) return pseudonym;
  const erased = text.replace(addressLike, (found) => {
    const spelled = found.replace(/%40/i, "@").replace(/\.+$/, "");
    return parseAddress(spelled)?.matched === address ? pseudonym : found;
  });
  // The name before `<…>` is personal too.
  const named = new RegExp(`(?:"[^"<>]{0,320}"\\s*|[^",<>]{0,320})<${pseudonym}>`, "g");
  return erased.replace(named, pseudonym);
}
