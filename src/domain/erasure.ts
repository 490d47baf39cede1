import { parseAddress } from "./address.ts";
import { decidedKeys } from "./mail/decision.ts";
import { withReadDetail } from "./mail/eventbridge.ts";
import { interpretNotification } from "./mail/interpret-notification.ts";
import { erasedMessage } from "./mail/ses-notification.ts";

/** A person who is taken out of what is stored. */
export type ErasedPerson = {
  /** In the form that is matched. */
  address: string;
  /** What stands in its place. */
  pseudonym: string;
};

/** `.invalid` is reserved (RFC 2606): there never is such an address. */
export const erasedDomain = "erased.invalid";

/** Of an email that was erased before, and of which something is still told. */
export const erasedAddress = `erased@${erasedDomain}`;

/** An address that tells nothing of the person. @param id of the erasure, for which chance is the only source. */
export function pseudonymOf(id: string): string {
  return `erased-${id}@${erasedDomain}`;
}

export function isPseudonym(address: string): boolean {
  return address.endsWith(`@${erasedDomain}`);
}

/** What an event of an email keeps when its person is erased: what counts are made of. */
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
 * Takes a person out of a body of the journal: blanks what is told of them alone, and elsewhere puts the pseudonym in
 * place of their address. Its signature, which is of other words, goes as well.
 * @returns null when the body does not speak of the person.
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
 * As `erasedNotification`, for the body of a webhook, which is of one person.
 * @param until what happened later, and came to be known later, stays.
 */
export function erasedWebhook(body: string, person: ErasedPerson, until: Date): string | null {
  if (!mayMention(body, person)) return null;
  const { data, ...head }: { timestamp: string; data: { event_timestamp: string } } = JSON.parse(body);
  const isOfThem = JSON.stringify(erasedValue(data, person)) !== JSON.stringify(data);
  // A caller may tell of something that lies ahead, and we may be told late of something that lies back.
  const earliestMs = Math.min(Date.parse(head.timestamp), Date.parse(data.event_timestamp));
  if (!isOfThem || earliestMs > until.getTime()) return null;
  return JSON.stringify({ ...head, data: erasedData });
}

const erasedData = { erased: true };

/** How the body of a webhook ends that somebody was taken out of: it tells nothing any more, and is not posted. */
export const erasedWebhookEnd = `"data":${JSON.stringify(erasedData)}}`;

/** Nearly all bodies are of others, and reading them costs more than this look. */
function mayMention(body: string, { address }: ErasedPerson): boolean {
  const local = address.slice(0, address.lastIndexOf("@"));
  // JSON and URLs may spell other characters in their own way.
  return !/^[a-z0-9._-]+$/.test(local) || body.toLowerCase().includes(local);
}

/** A text that is JSON itself, such as the Message of SES, is read as such. */
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

/** What looks like an address, also as a parameter of a URL. Bounded, so that long texts are read in linear time. */
const addressLike =
  /(?:"(?:[^"\\]|\\.){1,80}"|[^\s<>()[\]\\,;:"'@?&=/%]{1,320})(?:@|%40)[\p{L}\p{M}\p{N}.-]{1,320}/giu;

function erasedSpelling(text: string, { address, pseudonym }: ErasedPerson): string {
  // With whatever stands around it, such as a name in a comment.
  if (text.includes("@") && parseAddress(text)?.matched === address) return pseudonym;
  const erased = text.replace(addressLike, (found) => {
    const spelled = found.replace(/%40/i, "@").replace(/\.+$/, "");
    return parseAddress(spelled)?.matched === address ? pseudonym : found;
  });
  // The name before `<…>` is theirs too.
  const named = new RegExp(`(?:"[^"<>]{0,320}"\\s*|[^",<>]{0,320})<${pseudonym}>`, "g");
  return erased.replace(named, pseudonym);
}
