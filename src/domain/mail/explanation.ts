import { bounceCause } from "./bounce-cause.ts";
import type { DiscardReason } from "./decision.ts";
import { type EventDetail, isHeldBack, isNotSpam, onAccountList, onTenantList } from "./event-detail.ts";
import type { EmailEventType } from "./event-names.ts";
import { type MachineSign, signOfToday } from "./machine-traffic.ts";

type Explained = { type: EmailEventType; detail: EventDetail; discarded: string | null };

type Sentences = Readonly<Record<string, string>>;

/**
 * Explains an event, and what to do about it, in one sentence for people who do not know SMTP. For a discarded event
 * it says why it does not count.
 * @returns null if there is nothing to explain.
 */
export function explain({ type, detail, discarded }: Explained): string | null {
  if (discarded !== null) return explainDiscard(discarded, detail);
  switch (type) {
    case "bounced":
      return explainBounce(detail);
    case "delayed":
      return explainDelay(detail);
    case "complained":
      return explainComplaint(detail);
    case "rejected":
      return lookUp(rejections, detail.reason) ?? rejectedAnyhow;
    case "rendering_failed":
      return explainRenderingFailure(detail);
    case "suppressed":
      return heldBack;
    case "opened":
      return explainDoubt(detail, "opened the email");
    case "clicked":
      return explainDoubt(detail, "clicked");
    case "subscription_changed":
      return explainDoubt(detail, "changed a subscription");
    case "sent":
    case "delivered":
      return null;
    default:
      throw new Error(`unreachable: ${type satisfies never}`);
  }
}

/** By bounceType and bounceSubType. suppression.ts decides which of them suppress. */
const bounces: Readonly<Record<string, Sentences>> = {
  Permanent: {
    General:
      "The receiving server refused the email for good; Fanmail suppresses the address, so take it off your lists.",
    NoEmail:
      "The address does not exist; Fanmail suppresses it, so look for a typing error or take it off your lists.",
    Suppressed:
      "SES did not send the email because the address has lately bounced as invalid, for you or another sender; Fanmail suppresses it, so take it off your lists.",
    [onAccountList]:
      "SES did not send the email because an earlier bounce or complaint put the address on your SES account's suppression list; if it is valid again, remove it there and from Fanmail's list.",
    [onTenantList]:
      "SES did not send the email because the address is on the suppression list of your SES tenant; Fanmail does not suppress it for the whole project, so remove it from the tenant's list if it is valid again.",
    EmailValidationSuppressed:
      "SES did not send the email because its address validation takes the address for invalid or risky; Fanmail does not suppress it, so check the address and correct it.",
    UnsubscribedRecipient:
      "SES did not send the email because the recipient has unsubscribed from your contact list or topic; Fanmail does not suppress the address, so leave it out of such emails yourself.",
  },
  Transient: {
    General:
      "The receiving server did not take the email and SES has stopped trying; if this was for the moment, you can send again later.",
    MailboxFull:
      "The recipient's mailbox is full and SES has stopped trying; send again later, and take the address off your lists if it stays full.",
    MessageTooLarge:
      "The email is larger than the receiving server accepts; make it smaller and send it again.",
    CustomTimeoutExceeded:
      "SES could not deliver the email within the time limit that you set; send it again if it still matters, or allow more time.",
    ContentRejected: "The receiving server refused the content of the email; change it and send it again.",
    AttachmentRejected:
      "The receiving server refused an attachment of the email; remove or change the attachment and send it again.",
  },
  Undetermined: {
    Undetermined:
      "The email bounced and SES cannot tell why; you can send again later, and check the address if it bounces again.",
  },
};

const bouncesOfUnknownSubtype: Sentences = {
  Permanent:
    "The email bounced for good, and Fanmail does not know the reason that SES gives; check the address before you send to it again.",
  Transient:
    "The email bounced for a reason that may pass, and SES has stopped trying; you can send again later.",
  Undetermined:
    "The email bounced and SES gives no definite reason; check the address if later emails to it bounce too.",
};

const bouncedAnyhow =
  "The email bounced, and Fanmail does not know the kind of bounce; check the address if it happens again.";

const automaticReply =
  "A mail program answered by itself, for example with an out-of-office note; the email was not refused, and there is nothing to do.";

const bouncedForOneOfSeveral =
  "SES reports a bounce without saying for which of the several recipients; it is recorded with the first of them and Fanmail does not suppress anybody, so check all the addresses.";

const bouncedElsewhere =
  "The bounce is that of another address, to which this one probably forwards its email; Fanmail does not suppress either, so ask the recipient for an address that works.";

function explainBounce(detail: EventDetail): string {
  if (detail.auto_reply) return automaticReply;
  if (detail.recipient_listed === false) return bouncedForOneOfSeveral;
  if (detail.reported_address !== undefined && !isHeldBack(detail)) return bouncedElsewhere;
  const ofType = lookUp(bounces, detail.bounce_type);
  return (
    explainCause(detail) ??
    (ofType && lookUp(ofType, detail.bounce_subtype)) ??
    lookUp(bouncesOfUnknownSubtype, detail.bounce_type) ??
    bouncedAnyhow
  );
}

/** For a bounce with a vague subtype: the receiving server's reason. */
function explainCause(detail: EventDetail): string | null {
  const { bounce_type: type, bounce_subtype: subtype } = detail;
  const isVague = subtype === "General" || type === "Undetermined" || !isKnownSubtype(type, subtype);
  const cause = isVague ? bounceCause(detail) : null;
  if (cause === null) return null;
  return type === "Permanent" && subtype === "General"
    ? `${cause.said}; Fanmail suppresses the address, so take it off your lists.`
    : `${cause.said}; Fanmail does not suppress the address, but ${cause.advice}.`;
}

function isKnownSubtype(type: string | undefined, subtype: string | undefined): boolean {
  return lookUp(lookUp(bounces, type) ?? {}, subtype) !== undefined;
}

/** By delayType. */
const delays: Sentences = {
  InternalFailure: "A problem inside SES delays the email; SES keeps trying, and there is nothing to do.",
  General:
    "The receiving server answered with an error that is not specific; SES keeps trying, and there is nothing to do yet.",
  MailboxFull:
    "The recipient's mailbox is full for now; SES keeps trying, and the email bounces if the mailbox stays full.",
  SpamDetected:
    "The receiving server sees much unwanted email from your account; SES keeps trying, but send less, and only to people who asked for your emails.",
  RecipientServerError:
    "The receiving server has a passing problem; SES keeps trying, and there is nothing to do.",
  IPFailure:
    "The recipient's mail provider blocks or slows the IP address that SES sends from; SES keeps trying, so send more slowly and ask AWS if it lasts.",
  TransientCommunicationFailure:
    "The connection to the receiving server failed for the moment; SES keeps trying, and there is nothing to do.",
  BYOIPHostNameLookupUnavailable:
    "SES could not look up the host name of the IP addresses that you brought to it; SES keeps trying, but check the DNS records of these addresses.",
  Undetermined:
    "The email is delayed and SES cannot tell why; SES keeps trying, and there is nothing to do yet.",
  SendingDeferral:
    "SES has decided to hold the email for a while; SES sends it later, and there is nothing to do.",
};

const delayedAnyhow =
  "The email is delayed, and Fanmail does not know the reason that SES gives; wait for a delivery or a bounce.";

const delayedInsideBounce =
  "A bounce report says that the email to this recipient is late and not lost; delivery is still being tried, and there is nothing to do yet.";

function explainDelay({ delay_type, action }: EventDetail): string {
  if (delay_type === undefined && action?.toLowerCase() === "delayed") return delayedInsideBounce;
  return lookUp(delays, delay_type) ?? delayedAnyhow;
}

/** What the complaint says, and what to do besides suppressing. */
type Complaint = { said: string; advice: string };

const advisePermission = "write only to people who asked you to";

/** By complaintFeedbackType. */
const complaints: Readonly<Record<string, Complaint>> = {
  abuse: { said: "reported the email as spam", advice: advisePermission },
  "auth-failure": {
    said: "reported that the email failed authentication",
    advice: "check SPF, DKIM and DMARC of your domain",
  },
  fraud: {
    said: "reported the email as fraud or phishing",
    advice: "check that nobody else sends in your name",
  },
  other: { said: "complained for a reason that is none of the usual ones", advice: advisePermission },
  virus: { said: "reported a virus in the email", advice: "check its attachments and links" },
};

const complainedAnyhow: Complaint = {
  said: "complained for a reason that Fanmail does not know",
  advice: advisePermission,
};

const complainedWithoutReason: Complaint = {
  said: "complained, and the provider does not say why",
  advice: advisePermission,
};

function explainComplaint(detail: EventDetail): string {
  const { complaint_feedback_type: feedbackType, complaint_subtype: subtype } = detail;
  const isCertain = detail.recipient_certain !== false;
  if (subtype === onAccountList) return explainEarlierComplaint(isCertain);
  if (subtype === onTenantList) return complainedAboutTenant;
  const isElsewhere = detail.reported_address !== undefined;
  const who = complainant(isCertain, isElsewhere);
  if (isNotSpam(detail)) {
    return `${who} reported that the email is not spam; if an earlier complaint has suppressed the address, take it off Fanmail's suppression list and off that of SES.`;
  }
  const { said, advice } = feedbackType
    ? (lookUp(complaints, feedbackType) ?? complainedAnyhow)
    : complainedWithoutReason;
  return isCertain && !isElsewhere
    ? `${who} ${said}; Fanmail suppresses the address, and you should ${advice}.`
    : `${who} ${said}; Fanmail does not suppress the address, but you should ${advice}.`;
}

function complainant(isCertain: boolean, isElsewhere: boolean): string {
  if (isElsewhere) return "Somebody at another address, where this one may forward its email,";
  if (isCertain) return "The recipient or their mail provider";
  return "One of several recipients at the domain, who may have been this one,";
}

function explainEarlierComplaint(isCertain: boolean): string {
  return isCertain
    ? "SES did not send the email because the recipient complained about an earlier one; if they ask for your emails again, remove them from your SES account's suppression list and from Fanmail's list."
    : "SES did not send the email to one of several recipients at the domain, who may have been this one, because of an earlier complaint; look at your SES account's suppression list for who it was.";
}

const complainedAboutTenant =
  "SES did not send the email because an earlier complaint put the address on the suppression list of your SES tenant; Fanmail does not suppress it for the whole project.";

/** By the reason of a reject. */
const rejections: Sentences = {
  "Bad content":
    "SES found a virus in the email and did not send it; remove the infected attachment and send it again.",
};

const rejectedAnyhow =
  "SES refused to send the email; check its content and attachments before you send it again.";

function explainRenderingFailure({ template_name }: EventDetail): string {
  const template = template_name ? `The template ${template_name}` : "The email's template";
  return `${template} could not be filled and the email was not sent; give a value to each of its variables and send again.`;
}

const heldBack =
  "The email was held back before sending because the address is on the suppression list; remove it from the list if it is valid again and the recipient wants your emails.";

/** For events that are recorded with the primary recipient, because SES does not say which of several it was. */
function explainDoubt({ recipient_certain }: EventDetail, did: string): string | null {
  if (recipient_certain !== false) return null;
  return `SES does not say which of the several recipients ${did}; it is recorded with the first of them, so do not rely on who it was.`;
}

const discards: Readonly<Record<DiscardReason, string>> = {
  open_window:
    "This open does not count because another open of the same email within the open window does; there is nothing to do.",
  repeat:
    "This click does not count because another click on the same link, less than a second earlier, does; there is nothing to do.",
  machine:
    "This looks like the doing of a machine and not of a person, so it does not count; there is nothing to do.",
};

const discardedAnyhow = "Fanmail has discarded this event, so it does not count; there is nothing to do.";

const machines: Readonly<Record<MachineSign, string>> = {
  aws: "SES itself says that a machine did this and not a person, so it does not count; there is nothing to do.",
  prefetch:
    "Apple Mail Privacy Protection fetched the images, whether or not anybody read the email, so this does not count; there is nothing to do.",
  agent:
    "The user agent is that of a known bot or scanner and not of a person, so this does not count; there is nothing to do.",
  delivery:
    "This came before the delivery or within two seconds after it, as from a security scanner rather than a person, so it does not count; there is nothing to do.",
  asset:
    "This link is a style sheet or font that the email loads by itself when it is shown, so nobody clicked and it does not count; there is nothing to do.",
};

function explainDiscard(reason: string, { machine }: EventDetail): string {
  const ofMachine = reason === "machine" ? lookUp(machines, signOfToday(machine)) : undefined;
  return ofMachine ?? lookUp(discards, reason) ?? discardedAnyhow;
}

/** Looks up a name from outside, which may be `constructor`. */
function lookUp<Entry>(table: Readonly<Record<string, Entry>>, name: string | undefined): Entry | undefined {
  return name !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;
}
