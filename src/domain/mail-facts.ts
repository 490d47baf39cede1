import { type Address, domainOf, parseAddress } from "./address.ts";
import { computedId, uuidOrNull } from "./computed-id.ts";
import type { SesMail } from "./ses-notification.ts";
import { parseSesTime, timeOfMessageId } from "./ses-time.ts";

/** What every notification about an email says of the email itself; the `mail` object, for one recipient. */
export type MailFacts = {
  message_id: string;
  /** In the form that is matched. */
  recipient: string;
  recipient_as_sent: string;
  /** The sender's own id for the activity: the tag `activity_id`; of the primary recipient only. */
  tagged_id: string | null;
  sent_at: Date | null;
  subject: string | null;
  sender_email: string | null;
  sender_name: string | null;
  sender_domain: string | null;
  email_type: string | null;
  campaign_id: string | null;
  automation_run_id: string | null;
  template_id: string | null;
  tags: Record<string, string[]> | null;
  is_test: boolean;
};

/** The mailbox simulator of Amazon SES: mail to it is a test. */
const simulatorDomain = /(^|\.)simulator\.amazonses\.com$/;

/** Reads the facts of one recipient's email. An ill-formed uuid in a tag is ignored, not fatal. */
export function mailFacts(mail: SesMail, recipient: Address, isPrimary: boolean): MailFacts {
  const tag = (name: string) => mail.tags?.[name]?.[0] ?? null;
  const sender = parseAddress(mail.commonHeaders?.from?.[0] ?? "") ?? parseAddress(mail.source ?? "");
  return {
    message_id: mail.messageId,
    recipient: recipient.matched,
    recipient_as_sent: recipient.asSent,
    tagged_id: isPrimary ? uuidOrNull(tag("activity_id")) : null,
    sent_at: parseSesTime(mail.timestamp) ?? timeOfMessageId(mail.messageId),
    subject: mail.commonHeaders?.subject ?? null,
    sender_email: sender?.asSent ?? null,
    sender_name: sender?.displayName ?? null,
    sender_domain: sender ? domainOf(sender.matched) : null,
    email_type: tag("email_type"),
    campaign_id: uuidOrNull(tag("campaign_id")),
    automation_run_id: uuidOrNull(tag("automation_run_id")),
    template_id: uuidOrNull(tag("template_id")),
    tags: mail.tags ?? null,
    is_test: simulatorDomain.test(domainOf(recipient.matched)),
  };
}

/**
 * The id of an email to one recipient, the same from whichever notification it is computed. Its time is the one
 * inside the SES messageId: `mail.timestamp` comes with and without milliseconds for the same email.
 */
export function activityId(projectId: string, { message_id, recipient, sent_at }: MailFacts): string {
  const time = timeOfMessageId(message_id) ?? sent_at;
  return computedId(time?.getTime() ?? 0, [projectId, message_id, recipient]);
}

const factNames = [
  "message_id",
  "recipient",
  "recipient_as_sent",
  "tagged_id",
  "sent_at",
  "subject",
  "sender_email",
  "sender_name",
  "sender_domain",
  "email_type",
  "campaign_id",
  "automation_run_id",
  "template_id",
  "tags",
  "is_test",
] as const satisfies (keyof MailFacts)[];

/**
 * Keeps what is known and fills what is missing; null never overwrites a value.
 * @returns the facts alone, whatever else `known` has.
 */
export function fillFacts(known: MailFacts, more: MailFacts): MailFacts {
  // Every name of MailFacts is in the list, which the compiler does not follow through fromEntries.
  return Object.fromEntries(factNames.map((name) => [name, known[name] ?? more[name]])) as MailFacts;
}

/** Whether `more` tells something that is not known yet. */
export function fillsGap(known: MailFacts, more: MailFacts): boolean {
  return factNames.some((name) => known[name] === null && more[name] !== null);
}
