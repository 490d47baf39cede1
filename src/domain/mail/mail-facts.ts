import { type Address, domainOf, isTestAddress, parseAddresses } from "../address.ts";
import { computedId, uuidOrNull } from "../computed-id.ts";
import { parseSesTime, timeOfMessageId } from "../time-text.ts";
import { decodedWords } from "./encoded-words.ts";
import { readableLists } from "./ses-fields.ts";
import type { SesMail } from "./ses-notification.ts";

/** What every notification repeats about its email: the `mail` object, for one recipient. */
export type MailFacts = {
  message_id: string;
  /** In the form that is matched. */
  recipient: string;
  recipient_as_sent: string;
  /** The sender's own id for the activity, from the tag `activity_id`; set for the primary recipient only. */
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
  /** The SES tenant that sent it; null: none. */
  tenant_name: string | null;
  tags: Record<string, string[]> | null;
  is_test: boolean;
};

/** The facts that differ when their texts do. */
const textFacts = [
  ...(["recipient_as_sent", "tagged_id", "subject", "sender_email", "sender_name", "sender_domain"] as const),
  ...(["email_type", "campaign_id", "automation_run_id", "template_id", "tenant_name"] as const),
] satisfies readonly (keyof MailFacts)[];

/** Maximum characters in a tenant name. */
export const maxTenantName = 256;

/** The facts that are the same for all recipients of an email. */
type SharedFacts = Omit<MailFacts, "recipient" | "recipient_as_sent" | "is_test">;

/**
 * Reads the facts of one recipient's email.
 * @param shared what `sharedFacts` reads, if there are several recipients.
 */
export function mailFacts(
  mail: SesMail,
  recipient: Address,
  isPrimary: boolean,
  shared: SharedFacts = sharedFacts(mail),
): MailFacts {
  // Field by field, because to spread so many fields takes longer than to read them.
  return {
    message_id: shared.message_id,
    recipient: recipient.matched,
    recipient_as_sent: recipient.asSent,
    tagged_id: isPrimary ? shared.tagged_id : null,
    sent_at: shared.sent_at,
    subject: shared.subject,
    sender_email: shared.sender_email,
    sender_name: shared.sender_name,
    sender_domain: shared.sender_domain,
    email_type: shared.email_type,
    campaign_id: shared.campaign_id,
    automation_run_id: shared.automation_run_id,
    template_id: shared.template_id,
    tenant_name: shared.tenant_name,
    tags: shared.tags,
    is_test: isTestAddress(recipient.matched),
  };
}

/** Reads the facts that are the same for all recipients of an email. A malformed uuid in a tag is ignored. */
export function sharedFacts(mail: SesMail): SharedFacts {
  const tags = readableLists(mail.tags);
  const tag = (name: string) => tags?.[name]?.[0] ?? null;
  const sender = senderOf(mail);
  return {
    message_id: mail.messageId,
    tagged_id: uuidOrNull(tag("activity_id")),
    sent_at: parseSesTime(mail.timestamp) ?? timeOfMessageId(mail.messageId),
    subject: readable(mail.commonHeaders?.subject),
    sender_email: sender?.asSent ?? null,
    sender_name: readable(sender?.displayName),
    sender_domain: sender ? domainOf(sender.matched) : null,
    email_type: tag("email_type"),
    campaign_id: uuidOrNull(tag("campaign_id")),
    automation_run_id: uuidOrNull(tag("automation_run_id")),
    template_id: uuidOrNull(tag("template_id")),
    tenant_name: tenantOf(tag("ses:tenant-name")),
    tags,
  };
}

/** AWS allows 64 characters; a much longer text is not a name, and would not fit an index. */
function tenantOf(tag: string | null): string | null {
  return tag !== null && tag.length > 0 && tag.length <= maxTenantName ? tag : null;
}

/** Some notifications have encoded headers, others decoded ones. */
function readable(header: string | null | undefined): string | null {
  return header === null || header === undefined ? null : decodedWords(header);
}

/** The first address of the From header; without one, of the envelope. */
function senderOf({ commonHeaders, source }: SesMail): Address | undefined {
  for (const text of commonHeaders?.from ?? []) {
    const sender = parseAddresses(text ?? "")[0];
    if (sender !== undefined) return sender;
  }
  return parseAddresses(source ?? "")[0];
}

/**
 * The id of an email to one recipient, the same for every notification about it. Its time is the one inside the SES
 * messageId, because `mail.timestamp` comes with and without milliseconds for the same email.
 */
export function activityId(projectId: string, { message_id, recipient, sent_at }: MailFacts): string {
  const time = timeOfMessageId(message_id) ?? sent_at;
  return computedId(time?.getTime() ?? 0, [projectId, message_id, recipient]);
}

/** The id of an activity that follows from its name alone; null: the messageId holds no time, so it is not SES's. */
export function idOfName(name: { project_id: string; message_id: string; recipient: string }): string | null {
  const time = timeOfMessageId(name.message_id);
  return time && computedId(time.getTime(), [name.project_id, name.message_id, name.recipient]);
}

/**
 * Merges two descriptions of the same email. The order and number of descriptions do not matter: any value replaces
 * null, tags are united, and of two texts that differ in spelling the greater stands.
 * @returns only the facts, even if `one` has more fields.
 */
export function mergeFacts(one: MailFacts, other: MailFacts): MailFacts {
  return {
    message_id: one.message_id,
    recipient: one.recipient,
    recipient_as_sent: greater(one.recipient_as_sent, other.recipient_as_sent) ?? one.recipient_as_sent,
    tagged_id: greater(one.tagged_id, other.tagged_id),
    sent_at: earlier(one.sent_at, other.sent_at),
    subject: greater(one.subject, other.subject),
    sender_email: greater(one.sender_email, other.sender_email),
    sender_name: greater(one.sender_name, other.sender_name),
    sender_domain: greater(one.sender_domain, other.sender_domain),
    email_type: greater(one.email_type, other.email_type),
    campaign_id: greater(one.campaign_id, other.campaign_id),
    automation_run_id: greater(one.automation_run_id, other.automation_run_id),
    template_id: greater(one.template_id, other.template_id),
    tenant_name: greater(one.tenant_name, other.tenant_name),
    tags: unitedTags(one.tags, other.tags),
    is_test: one.is_test,
  };
}

/**
 * What `mergeFacts` has added to known facts.
 * @param merged known facts and others, merged.
 */
export function addedFacts(known: MailFacts, merged: MailFacts): "nothing" | "tags" | "more" {
  const isMore =
    textFacts.some((name) => known[name] !== merged[name]) || !isSame(known.sent_at, merged.sent_at);
  if (isMore) return "more";
  return known.tags === merged.tags ? "nothing" : "tags";
}

function isSame(one: Date | null, other: Date | null): boolean {
  return one?.getTime() === other?.getTime();
}

function greater(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  return one > other ? one : other;
}

function earlier(one: Date | null, other: Date | null): Date | null {
  if (one === null || other === null) return one ?? other;
  return one < other ? one : other;
}

/**
 * SES adds tags on the way (`ses:outgoing-ip`), so no single event has them all.
 * @returns `one` itself when `other` adds nothing.
 */
function unitedTags(one: MailFacts["tags"], other: MailFacts["tags"]): MailFacts["tags"] {
  if (other === null) return one;
  if (one === null) return other;
  const added = Object.keys(other).filter((name) => {
    const [mine, theirs] = [valuesOf(one, name), valuesOf(other, name)];
    return mine === undefined || greaterValues(mine, theirs) !== mine;
  });
  if (added.length === 0) return one;
  const greater = added.map(
    (name) => [name, greaterValues(valuesOf(one, name), valuesOf(other, name))] as const,
  );
  return Object.fromEntries([...Object.entries(one), ...greater]);
}

/** A tag may be named `constructor`, which every object inherits. */
function valuesOf(tags: MailFacts["tags"], name: string): string[] | undefined {
  return tags !== null && Object.hasOwn(tags, name) ? tags[name] : undefined;
}

function greaterValues(one: string[] | undefined, other: string[] | undefined): string[] {
  if (one === undefined || other === undefined) return one ?? other ?? [];
  const areEqual = one.length === other.length && one.every((value, place) => value === other[place]);
  return areEqual || JSON.stringify(one) > JSON.stringify(other) ? one : other;
}
