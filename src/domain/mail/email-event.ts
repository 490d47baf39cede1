import { type Address, parseAddresses } from "../address.ts";
import { computedId } from "../computed-id.ts";
import { parseSesTime, timeOfMessageId } from "../time-text.ts";
import { type EventDetail, eventDetail } from "./event-detail.ts";
import type { EmailEventType } from "./event-names.ts";
import { attribute } from "./reported-recipients.ts";
import { readableLists } from "./ses-fields.ts";
import { countUnreadable, type SesEvent, type SesMail } from "./ses-notification.ts";
import { boundedFields } from "./unnamed-fields.ts";

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

/** For facts without a time of their own. */
const withTheMail = Symbol("with the mail");

/** A fact as SES reports it, before it has an id and a time. */
type Fact = {
  recipient: Address;
  type: EmailEventType;
  time: string | null | undefined | typeof withTheMail;
  detail: EventDetail;
  /** Distinguishes facts of the same kind, besides their time. */
  discriminator: readonly (string | null | undefined)[];
};

/**
 * The facts of an SES event, one for each recipient that it concerns.
 * @param destination distinct, the primary one first.
 */
function factsOf(event: SesEvent, destination: readonly Address[]): Fact[] {
  return knownFacts(event, destination).map((fact) => withMore(fact, event));
}

/** Adds the unnamed fields of the message and of its mail to those of the detail. */
function withMore({ detail: { more: ofDetail, ...detail }, ...fact }: Fact, { mail, more }: SesEvent): Fact {
  const ofMail = Object.entries(mail.more ?? {}).map(([name, value]) => [`mail.${name}`, value]);
  const fields = boundedFields({ ...more, ...Object.fromEntries(ofMail), ...ofDetail });
  return { ...fact, detail: fields === null ? detail : { ...detail, more: fields } };
}

function knownFacts(event: SesEvent, destination: readonly Address[]): Fact[] {
  const { more } = event.detail;
  switch (event.type) {
    case "Send":
      return destination.map((recipient) => mailFact(recipient, "sent", eventDetail({ more })));
    case "Reject":
      return destination.map((recipient) =>
        mailFact(recipient, "rejected", eventDetail({ reason: event.detail.reason, more })),
      );
    case "Rendering Failure": {
      const { templateName, errorMessage } = event.detail;
      const detail = eventDetail({ template_name: templateName, reason: errorMessage, more });
      return destination.map((recipient) => mailFact(recipient, "rendering_failed", detail));
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

function mailFact(recipient: Address, type: EmailEventType, detail: EventDetail): Fact {
  return { recipient, type, time: withTheMail, detail, discriminator: [] };
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
      more: delivery.more,
      ...detail,
    }),
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
      more: { ...bounce.more, ...entry.more },
      ...detail,
    }),
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
      more: { ...delay.more, ...entry.more },
      ...detail,
    }),
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
      more: { ...complaint.more, ...entry.more },
      ...detail,
    }),
    discriminator: [complaint.feedbackId],
  }));
}

type PersonEvent = Extract<SesEvent, { type: "Open" | "Click" | "Subscription" }>;

function personFact(recipient: Address, event: PersonEvent, isCertain: boolean): Fact {
  const { more } = event.detail;
  const time = event.detail.timestamp;
  const uncertain = isCertain ? {} : { recipient_certain: false as const };
  if (event.type === "Subscription") {
    const { contactList, source, newTopicPreferences, oldTopicPreferences } = event.detail;
    const preferences = { new_preferences: newTopicPreferences, old_preferences: oldTopicPreferences };
    const detail = eventDetail({
      contact_list: contactList,
      reason: source,
      ...preferences,
      ...uncertain,
      more,
    });
    return { recipient, type: "subscription_changed", time, detail, discriminator: [contactList] };
  }
  const { ipAddress, userAgent, isBotEvent } = event.detail;
  const seen = {
    ip_address: ipAddress,
    user_agent: userAgent,
    is_bot_event: isBotEvent,
    more,
    ...uncertain,
  };
  if (event.type === "Open") {
    return {
      recipient,
      type: "opened",
      time,
      detail: eventDetail(seen),
      discriminator: [ipAddress, userAgent],
    };
  }
  const { link, linkTags } = event.detail;
  const detail = eventDetail({ ...seen, url_clicked: link, link_tags: readableLists(linkTags) });
  return { recipient, type: "clicked", time, detail, discriminator: [ipAddress, userAgent, link] };
}
