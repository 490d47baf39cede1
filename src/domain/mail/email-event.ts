import { type Address, parseAddresses } from "../address.ts";
import { computedId } from "../computed-id.ts";
import { parseSesTime, timeOfMessageId } from "../time-text.ts";
import { type EventDetail, eventDetail } from "./event-detail.ts";
import type { EmailEventType } from "./event-names.ts";
import { attribute } from "./reported-recipients.ts";
import { readableLists } from "./ses-fields.ts";
import { countUnreadable, type SesEvent, type SesMail } from "./ses-notification.ts";
import { boundedFields, type UnnamedFields } from "./unnamed-fields.ts";

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
  const { destination, addressless } = destinationOf(ses.mail);
  const facts = factsOf(ses, destination);
  const [first] = facts;
  if (first === undefined)
    return { kind: "invalid", reason: `${ses.type}: no recipient that is an email address` };
  const primary = destination[0] ?? first.recipient;
  const events = facts.map((fact) => ({
    recipient: fact.recipient,
    isPrimary: fact.recipient.matched === primary.matched,
    event: identify(projectId, ses, fact, snsTimestamp),
  }));
  return { kind: "events", events, unreadable: countUnreadable(ses) + addressless };
}

/**
 * The mailboxes that an email was sent to, each in the first of several spellings.
 * @returns addressless: the number of texts that hold no address.
 */
function destinationOf(mail: SesMail): { destination: Address[]; addressless: number } {
  const destination = new Map<string, Address>();
  let addressless = 0;
  for (const text of mail.destination ?? []) {
    if (text === null) continue;
    const addresses = parseAddresses(text);
    if (addresses.length === 0) addressless++;
    for (const address of addresses)
      if (!destination.has(address.matched)) destination.set(address.matched, address);
  }
  return { destination: [...destination.values()], addressless };
}

/**
 * Adds the time, and the id by which repeats are found: in the other SES format, or posted again. The time is part of
 * the id as a number, because the same moment is written with and without milliseconds.
 */
function identify(projectId: string, ses: SesEvent, fact: Fact, snsTimestamp: Date): EmailEvent {
  const { mail } = ses;
  const ownTime = fact.time === withTheMail ? timeOfMail(mail) : timeOfFact(fact.time, fact.detail);
  const occurredAt = ownTime ?? snsTimestamp;
  const key = [projectId, mail.messageId, fact.type, fact.recipient.matched];
  for (const part of fact.discriminator) key.push(part ?? "");
  const more = unnamedOf(fact, ses);
  return {
    id: computedId(occurredAt.getTime(), key),
    type: fact.type,
    occurred_at: occurredAt,
    detail: more === null ? fact.detail : { ...fact.detail, more },
  };
}

function timeOfMail(mail: SesMail): Date | null {
  return parseSesTime(mail.timestamp) ?? timeOfMessageId(mail.messageId);
}

/** A feedbackId has the form of a messageId and contains its time. */
function timeOfFact(time: string | null | undefined, { feedback_id }: EventDetail): Date | null {
  return parseSesTime(time) ?? timeOfMessageId(feedback_id ?? "");
}

/** For facts without a time of their own. */
const withTheMail = Symbol("with the mail");

/** A fact as SES reports it, before it has an id and a time. */
type Fact = {
  recipient: Address;
  type: EmailEventType;
  time: string | null | undefined | typeof withTheMail;
  detail: EventDetail;
  /** The unnamed fields of the detail. */
  more: UnnamedFields | undefined;
  /** Distinguishes facts of the same kind, besides their time. */
  discriminator: readonly (string | null | undefined)[];
};

/** The unnamed fields of the message, of its mail and of the detail. */
function unnamedOf({ more: ofDetail }: Fact, { mail, more: ofMessage }: SesEvent): UnnamedFields | null {
  if (ofMessage === undefined && mail.more === undefined)
    return ofDetail === undefined ? null : boundedFields(ofDetail);
  const fields = { ...ofMessage };
  for (const name in mail.more) fields[`mail.${name}`] = mail.more[name];
  return boundedFields({ ...fields, ...ofDetail });
}

function both(one: UnnamedFields | undefined, other: UnnamedFields | undefined): UnnamedFields | undefined {
  return one === undefined || other === undefined ? (one ?? other) : { ...one, ...other };
}

/**
 * The facts of an SES event, one for each recipient that it concerns.
 * @param destination distinct, the primary one first.
 */
function factsOf(event: SesEvent, destination: readonly Address[]): Fact[] {
  switch (event.type) {
    case "Send":
      return factsOfAll("sent", {}, event.detail.more, destination);
    case "Reject": {
      const { reason, more } = event.detail;
      return factsOfAll("rejected", { reason }, more, destination);
    }
    case "Rendering Failure": {
      const { templateName, errorMessage, more } = event.detail;
      const detail = { template_name: templateName, reason: errorMessage };
      return factsOfAll("rendering_failed", detail, more, destination);
    }
    case "Delivery":
      return deliveryFacts(event.detail, destination);
    case "Bounce":
      return bounceFacts(event.detail, destination);
    case "DeliveryDelay":
      return delayFacts(event.detail, destination);
    case "Complaint":
      return complaintFacts(event.detail, destination);
    case "Open":
    case "Click":
    case "Subscription":
      return destination
        .slice(0, 1)
        .map((recipient) => personFact(recipient, event, destination.length === 1));
    default:
      throw new Error(`unreachable: ${event satisfies never}`);
  }
}

type DetailOf<Type extends SesEvent["type"]> = Extract<SesEvent, { type: Type }>["detail"];

/** Facts that concern every destination alike. */
function factsOfAll(
  type: EmailEventType,
  detail: Parameters<typeof eventDetail>[0],
  more: UnnamedFields | undefined,
  destination: readonly Address[],
): Fact[] {
  return destination.map((recipient) => ({
    recipient,
    type,
    time: withTheMail,
    detail: eventDetail(detail),
    more,
    discriminator: [],
  }));
}

function deliveryFacts(delivery: DetailOf<"Delivery">, destination: readonly Address[]): Fact[] {
  const list = delivery.recipients?.map((emailAddress) => ({ emailAddress }));
  return attribute(list, destination, { emailAddress: null }).map(({ recipient, detail }) => ({
    recipient,
    type: "delivered",
    time: delivery.timestamp,
    detail: eventDetail({
      smtp_response: delivery.smtpResponse,
      reporting_mta: delivery.reportingMTA,
      processing_time_ms: delivery.processingTimeMillis,
      ...detail,
    }),
    more: delivery.more,
    discriminator: [delivery.smtpResponse],
  }));
}

function bounceFacts(bounce: DetailOf<"Bounce">, destination: readonly Address[]): Fact[] {
  return attribute(bounce.bouncedRecipients, destination, {}).map(({ recipient, entry, detail }) => ({
    recipient,
    // One of several recipients in a bounce can still be pending.
    type: entry.action?.toLowerCase() === "delayed" ? "delayed" : "bounced",
    time: bounce.timestamp,
    detail: eventDetail({
      bounce_type: bounce.bounceType,
      bounce_subtype: bounce.bounceSubType,
      action: entry.action,
      status_code: entry.status,
      diagnostic_code: entry.diagnosticCode,
      feedback_id: bounce.feedbackId,
      reporting_mta: bounce.reportingMTA,
      ...detail,
    }),
    more: both(bounce.more, entry.more),
    discriminator: [bounce.feedbackId],
  }));
}

function delayFacts(delay: DetailOf<"DeliveryDelay">, destination: readonly Address[]): Fact[] {
  return attribute(delay.delayedRecipients, destination, {}).map(({ recipient, entry, detail }) => ({
    recipient,
    type: "delayed",
    time: delay.timestamp,
    detail: eventDetail({
      delay_type: delay.delayType,
      status_code: entry.status,
      diagnostic_code: entry.diagnosticCode,
      expires_at: delay.expirationTime,
      reporting_mta: delay.reportingMTA,
      ...detail,
    }),
    more: both(delay.more, entry.more),
    discriminator: [delay.delayType],
  }));
}

function complaintFacts(complaint: DetailOf<"Complaint">, destination: readonly Address[]): Fact[] {
  const attributed = attribute(complaint.complainedRecipients, destination, {});
  // SES lists every recipient at the complaining domain, so several are only possible complainers.
  const isCertain = new Set(attributed.map(({ recipient }) => recipient.matched)).size === 1;
  return attributed.map(({ recipient, entry, detail }) => ({
    recipient,
    type: "complained",
    time: complaint.timestamp,
    detail: eventDetail({
      complaint_feedback_type: complaint.complaintFeedbackType,
      complaint_subtype: complaint.complaintSubType,
      user_agent: complaint.userAgent,
      feedback_id: complaint.feedbackId,
      recipient_certain: isCertain ? undefined : false,
      ...detail,
    }),
    more: both(complaint.more, entry.more),
    discriminator: [complaint.feedbackId],
  }));
}

type PersonEvent = Extract<SesEvent, { type: "Open" | "Click" | "Subscription" }>;

function personFact(recipient: Address, event: PersonEvent, isCertain: boolean): Fact {
  const { more, timestamp: time } = event.detail;
  const recipient_certain = isCertain ? undefined : (false as const);
  if (event.type === "Subscription") {
    const { contactList, source, newTopicPreferences, oldTopicPreferences } = event.detail;
    const detail = eventDetail({
      contact_list: contactList,
      reason: source,
      new_preferences: newTopicPreferences,
      old_preferences: oldTopicPreferences,
      recipient_certain,
    });
    return { recipient, type: "subscription_changed", time, detail, more, discriminator: [contactList] };
  }
  const { ipAddress, userAgent, isBotEvent } = event.detail;
  const seen = { ip_address: ipAddress, user_agent: userAgent, is_bot_event: isBotEvent, recipient_certain };
  if (event.type === "Open") {
    const discriminator = [ipAddress, userAgent];
    return { recipient, type: "opened", time, detail: eventDetail(seen), more, discriminator };
  }
  const { link, linkTags } = event.detail;
  const detail = eventDetail({ ...seen, url_clicked: link, link_tags: readableLists(linkTags) });
  return { recipient, type: "clicked", time, detail, more, discriminator: [ipAddress, userAgent, link] };
}
