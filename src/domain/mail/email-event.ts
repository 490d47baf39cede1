import { type Address, parseAddresses } from "../address.ts";
import { computedId } from "../computed-id.ts";
import { parseSesTime, timeOfMessageId } from "../time-text.ts";
import type { EventDetail } from "./event-detail.ts";
import { type Fact, factsOf, withTheMail } from "./event-facts.ts";
import type { EmailEventType } from "./event-names.ts";
import { countUnreadable, type SesEvent, type SesMail } from "./ses-notification.ts";

/** One event of one email to one recipient. */
export type EmailEvent = {
  id: string;
  type: EmailEventType;
  occurred_at: Date;
  detail: EventDetail;
};

/** An event with its recipient. */
type RecipientEvent = { recipient: Address; isPrimary: boolean; event: EmailEvent };

/** @property unreadable number of list entries that were left out. */
export type ReadEvents =
  | { kind: "events"; events: RecipientEvent[]; unreadable: number }
  | { kind: "invalid"; reason: string };

/**
 * Splits an SES event into one event for each recipient. Send, Reject and Rendering Failure concern every
 * destination; Delivery, Bounce, DeliveryDelay and Complaint the recipients that they list; Open, Click and
 * Subscription the destination, or the primary one of several.
 *
 * @param snsTimestamp replaces a time that is missing or cannot be read.
 */
export function readEvents(projectId: string, ses: SesEvent, snsTimestamp: Date): ReadEvents {
  const written = (ses.mail.destination ?? []).flatMap((text) => text ?? []);
  const readable = written.map(parseAddresses);
  const destination = distinct(readable.flat());
  const facts = factsOf(ses, destination);
  const [first] = facts;
  if (first === undefined)
    return { kind: "invalid", reason: `${ses.type}: no recipient that is an email address` };
  const primary = destination[0] ?? first.recipient;
  const events = facts.map((fact) => ({
    recipient: fact.recipient,
    isPrimary: fact.recipient.matched === primary.matched,
    event: identify(projectId, ses.mail, fact, snsTimestamp),
  }));
  const addressless = readable.filter((addresses) => addresses.length === 0);
  return { kind: "events", events, unreadable: countUnreadable(ses) + addressless.length };
}

/** Keeps the first of several spellings of a mailbox. */
function distinct(addresses: readonly Address[]): Address[] {
  return addresses.filter(
    ({ matched }, place) => addresses.findIndex((one) => one.matched === matched) === place,
  );
}

/**
 * Adds the time, and the id by which repeats are found: in the other SES format, or posted again. The time is part of
 * the id as a number, because the same moment is written with and without milliseconds.
 */
function identify(projectId: string, mail: SesMail, fact: Fact, snsTimestamp: Date): EmailEvent {
  const ownTime = fact.time === withTheMail ? timeOfMail(mail) : timeOfFact(fact.time, fact.detail);
  const occurredAt = ownTime ?? snsTimestamp;
  const discriminator = fact.discriminator.map((part) => part ?? "");
  const key = [projectId, mail.messageId, fact.type, fact.recipient.matched, ...discriminator];
  return {
    id: computedId(occurredAt.getTime(), key),
    type: fact.type,
    occurred_at: occurredAt,
    detail: fact.detail,
  };
}

function timeOfMail(mail: SesMail): Date | null {
  return parseSesTime(mail.timestamp) ?? timeOfMessageId(mail.messageId);
}

/** A feedbackId has the form of a messageId and contains its time. */
function timeOfFact(time: string | null | undefined, { feedback_id }: EventDetail): Date | null {
  return parseSesTime(time) ?? timeOfMessageId(feedback_id ?? "");
}
