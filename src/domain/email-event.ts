import { type Address, parseAddress } from "./address.ts";
import { computedId } from "./computed-id.ts";
import type { EmailEventType } from "./event-names.ts";
import type { SesEvent, SesMail } from "./ses-notification.ts";
import { parseSesTime, timeOfMessageId } from "./ses-time.ts";

/** What is particular to an event; a key that does not apply is absent. Stored as it is, in jsonb. */
export type EventDetail = {
  user_agent?: string;
  ip_address?: string;
  url_clicked?: string;
  link_tags?: Record<string, string[]>;
  bounce_type?: string;
  bounce_subtype?: string;
  /** Of the recipient's delivery status notification: `failed`, `delayed`. */
  action?: string;
  /** The enhanced status code of RFC 3463, such as `5.1.1`. */
  status_code?: string;
  diagnostic_code?: string;
  /** A reply by the recipient's mail program, such as out of office; not a bounce to act on. */
  auto_reply?: true;
  complaint_feedback_type?: string;
  complaint_subtype?: string;
  delay_type?: string;
  expires_at?: string;
  smtp_response?: string;
  reporting_mta?: string;
  processing_time_ms?: number;
  feedback_id?: string;
  reason?: string;
  template_name?: string;
  contact_list?: string;
  new_preferences?: unknown;
  old_preferences?: unknown;
  /** Present and false when SES does not say which recipient it was. */
  recipient_certain?: false;
  /** The id of the event that stood, on a discarded one. */
  kept?: string;
};

/** One thing that happened to one email of one recipient. */
export type EmailEvent = {
  id: string;
  type: EmailEventType;
  occurred_at: Date;
  detail: EventDetail;
};

/** An event together with the email and recipient that it belongs to. */
export type RecipientEvent = { recipient: Address; isPrimary: boolean; event: EmailEvent };

export type ReadEvents = { kind: "events"; events: RecipientEvent[] } | { kind: "invalid"; reason: string };

/**
 * Splits an SES event into what happened to each recipient.
 * Send, Reject and Rendering Failure concern every destination; Delivery, Bounce, DeliveryDelay and Complaint
 * those they list; Open, Click and Subscription the destination, or the primary one when there are several.
 *
 * @param snsTimestamp stands in for a time that is absent or cannot be read.
 */
export function readEvents(projectId: string, ses: SesEvent, snsTimestamp: Date): ReadEvents {
  const destination = parseAll(ses.mail.destination ?? []);
  const facts = factsOf(ses, destination);
  const listed = facts.flatMap((fact) => {
    const recipient = parseAddress(fact.address);
    return recipient ? [{ recipient, fact }] : [];
  });
  if (listed.length === 0)
    return { kind: "invalid", reason: `${ses.type}: no recipient that is an email address` };
  const primary = destination[0] ?? listed[0]?.recipient;
  const events = listed.map(({ recipient, fact }) => ({
    recipient,
    isPrimary: recipient.matched === primary?.matched,
    event: identify(projectId, ses.mail, recipient, fact, snsTimestamp),
  }));
  return { kind: "events", events };
}

/** The time of a fact that has none of its own. */
const withTheMail = Symbol("with the mail");

/** A fact as SES tells it, before it has an id and a time. */
type Fact = {
  address: string;
  type: EmailEventType;
  time: string | null | undefined | typeof withTheMail;
  detail: EventDetail;
  /** What tells two facts of the same kind apart, beside their time. */
  discriminator: readonly (string | null | undefined)[];
};

function factsOf(event: SesEvent, destination: Address[]): Fact[] {
  const everyone = destination.map(({ asSent }) => asSent);
  switch (event.type) {
    case "Send":
      return everyone.map((address) => mailFact(address, "sent", {}));
    case "Reject":
      return everyone.map((address) =>
        mailFact(address, "rejected", present({ reason: event.detail.reason })),
      );
    case "Rendering Failure": {
      const { templateName, errorMessage } = event.detail;
      const detail = present({ template_name: templateName, reason: errorMessage });
      return everyone.map((address) => mailFact(address, "rendering_failed", detail));
    }
    case "Delivery":
      return deliveryFacts(event.detail, everyone);
    case "Bounce":
      return bounceFacts(event.detail);
    case "DeliveryDelay":
      return delayFacts(event.detail);
    case "Complaint":
      return complaintFacts(event.detail);
    case "Open":
    case "Click":
    case "Subscription":
      return everyone.slice(0, 1).map((address) => personFact(address, event, everyone.length === 1));
    default:
      throw new Error(`unreachable: ${event satisfies never}`);
  }
}

type DetailOf<Type extends SesEvent["type"]> = Extract<SesEvent, { type: Type }>["detail"];

function mailFact(address: string, type: EmailEventType, detail: EventDetail): Fact {
  return { address, type, time: withTheMail, detail, discriminator: [] };
}

function deliveryFacts(delivery: DetailOf<"Delivery">, everyone: string[]): Fact[] {
  const detail = present({
    smtp_response: delivery.smtpResponse,
    reporting_mta: delivery.reportingMTA,
    processing_time_ms: delivery.processingTimeMillis,
  });
  return (delivery.recipients ?? everyone).map((address) => ({
    address,
    type: "delivered",
    time: delivery.timestamp,
    detail,
    discriminator: [delivery.timestamp, delivery.smtpResponse],
  }));
}

function bounceFacts(bounce: DetailOf<"Bounce">): Fact[] {
  return bounce.bouncedRecipients.map((recipient) => ({
    address: recipient.emailAddress,
    // Inside a bounce of several recipients one can still be on its way.
    type: recipient.action?.toLowerCase() === "delayed" ? "delayed" : "bounced",
    time: bounce.timestamp,
    detail: present({
      bounce_type: bounce.bounceType,
      bounce_subtype: bounce.bounceSubType,
      action: recipient.action,
      status_code: recipient.status,
      diagnostic_code: recipient.diagnosticCode,
      auto_reply: isAutoReply(bounce, recipient) || undefined,
      feedback_id: bounce.feedbackId,
      reporting_mta: bounce.reportingMTA,
    }),
    discriminator: [bounce.feedbackId ?? bounce.timestamp],
  }));
}

/**
 * An out-of-office reply arrives as a bounce: Transient/General without any delivery status.
 * Source: "Bounce types", Amazon SES developer guide, and captures of its mailbox simulator.
 */
function isAutoReply(
  bounce: DetailOf<"Bounce">,
  recipient: DetailOf<"Bounce">["bouncedRecipients"][number],
): boolean {
  const isGeneral = bounce.bounceType === "Transient" && bounce.bounceSubType === "General";
  return isGeneral && !recipient.action && !recipient.status && !recipient.diagnosticCode;
}

function delayFacts(delay: DetailOf<"DeliveryDelay">): Fact[] {
  return delay.delayedRecipients.map((recipient) => ({
    address: recipient.emailAddress,
    type: "delayed",
    time: delay.timestamp,
    detail: present({
      delay_type: delay.delayType,
      status_code: recipient.status,
      diagnostic_code: recipient.diagnosticCode,
      expires_at: delay.expirationTime,
      reporting_mta: delay.reportingMTA,
    }),
    discriminator: [delay.timestamp, delay.delayType],
  }));
}

function complaintFacts(complaint: DetailOf<"Complaint">): Fact[] {
  // SES lists every recipient at the complaining domain, so that several are only possible complainers.
  const isCertain = complaint.complainedRecipients.length === 1;
  return complaint.complainedRecipients.map(({ emailAddress }) => ({
    address: emailAddress,
    type: "complained",
    time: complaint.timestamp,
    detail: present({
      complaint_feedback_type: complaint.complaintFeedbackType,
      complaint_subtype: complaint.complaintSubType,
      user_agent: complaint.userAgent,
      feedback_id: complaint.feedbackId,
      recipient_certain: isCertain ? undefined : false,
    }),
    discriminator: [complaint.feedbackId ?? complaint.timestamp],
  }));
}

type PersonEvent = Extract<SesEvent, { type: "Open" | "Click" | "Subscription" }>;

function personFact(address: string, event: PersonEvent, isCertain: boolean): Fact {
  const time = event.detail.timestamp;
  const uncertain = isCertain ? {} : { recipient_certain: false as const };
  if (event.type === "Subscription") {
    const { contactList, source, newTopicPreferences, oldTopicPreferences } = event.detail;
    const preferences = { new_preferences: newTopicPreferences, old_preferences: oldTopicPreferences };
    const detail = present({ contact_list: contactList, reason: source, ...preferences, ...uncertain });
    return { address, type: "subscription_changed", time, detail, discriminator: [time, contactList] };
  }
  const { ipAddress, userAgent } = event.detail;
  const seen = { ip_address: ipAddress, user_agent: userAgent, ...uncertain };
  if (event.type === "Open") {
    return {
      address,
      type: "opened",
      time,
      detail: present(seen),
      discriminator: [time, ipAddress, userAgent],
    };
  }
  const { link, linkTags } = event.detail;
  const detail = present({ ...seen, url_clicked: link, link_tags: linkTags });
  return { address, type: "clicked", time, detail, discriminator: [time, ipAddress, userAgent, link] };
}

/** Gives a fact its time and the id that finds its repeats: through the other SES format, or posted again. */
function identify(
  projectId: string,
  mail: SesMail,
  recipient: Address,
  fact: Fact,
  snsTimestamp: Date,
): EmailEvent {
  const ownTime = fact.time === withTheMail ? timeOfMail(mail) : parseSesTime(fact.time);
  const occurredAt = ownTime ?? snsTimestamp;
  const discriminator = fact.discriminator.map((part) => part ?? "");
  const key = [projectId, mail.messageId, fact.type, recipient.matched, ...discriminator];
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

function parseAll(addresses: readonly string[]): Address[] {
  return addresses.flatMap((text) => parseAddress(text) ?? []);
}

type Present<T> = { [Key in keyof T]?: Exclude<T[Key], null | undefined> };

/** Leaves out what is null or undefined. */
function present<T extends object>(fields: T): Present<T> {
  const entries = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(entries) as Present<T>;
}
