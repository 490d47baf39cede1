import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import type { EmailEventType } from "../../../src/domain/mail/event-names.ts";
import { explain } from "../../../src/domain/mail/explanation.ts";

/** From the facts page, as SES spells them. */
export const bounceNames: [type: string, subtype: string][] = [
  ["Undetermined", "Undetermined"],
  ["Permanent", "General"],
  ["Permanent", "NoEmail"],
  ["Permanent", "Suppressed"],
  ["Permanent", "OnAccountSuppressionList"],
  ["Permanent", "OnTenantSuppressionList"],
  ["Permanent", "EmailValidationSuppressed"],
  ["Permanent", "UnsubscribedRecipient"],
  ["Transient", "General"],
  ["Transient", "MailboxFull"],
  ["Transient", "MessageTooLarge"],
  ["Transient", "CustomTimeoutExceeded"],
  ["Transient", "ContentRejected"],
  ["Transient", "AttachmentRejected"],
];

const delayNames = [
  "InternalFailure",
  "General",
  "MailboxFull",
  "SpamDetected",
  "RecipientServerError",
  "IPFailure",
  "TransientCommunicationFailure",
  "BYOIPHostNameLookupUnavailable",
  "Undetermined",
  "SendingDeferral",
];

export const complaintNames = ["abuse", "auth-failure", "fraud", "not-spam", "other", "virus"];

const machineNames = ["aws", "delivery", "prefetch", "agent", "asset"] as const;

/** What the receiving server says, by the code with which it says so. */
export const causes: [said: RegExp, code: string][] = [
  [/domain of the address cannot be found/, "5.4.4"],
  [/says that the address does not exist/, "5.1.1"],
  [/mailbox is disabled/, "5.2.1"],
  [/mailbox, or the server, is full/, "5.2.2"],
  [/too large/, "5.3.4"],
  [/could not verify the sender/, "5.7.26"],
  [/as spam or against its policy/, "5.7.1"],
  [/refused the content/, "5.6.0"],
  [/put the email off/, "4.7.1"],
  [/could not be reached/, "4.4.7"],
  [/refused the email for good/, "5.3.0"],
];

/** Names that every object answers to, and one that SES does not have yet. */
export const strangeNames = ["constructor", "__proto__", "toString", "NewInSes"];

export const uncertain = { recipient_certain: false } as const;

export function explanation(type: EmailEventType, detail: EventDetail = {}): string | null {
  return explain({ type, detail, discarded: null });
}

export function bounce(bounce_type: string, bounce_subtype: string, status_code?: string): string | null {
  const status = status_code === undefined ? {} : { status_code };
  return explanation("bounced", { bounce_type, bounce_subtype, ...status });
}

export function delay(delay_type: string): string | null {
  return explanation("delayed", { delay_type });
}

export function complaint(complaint_feedback_type: string, more: EventDetail = {}): string | null {
  return explanation("complained", { complaint_feedback_type, ...more });
}

export function discard(discarded: string, detail: EventDetail = {}): string | null {
  return explain({ type: "opened", detail, discarded });
}

/** Every sentence there is. */
export const sentences = [
  ...bounceNames.map(([type, subtype]) => bounce(type, subtype)),
  ...["Permanent", "Transient", "Undetermined", "NewInSes"].map((type) => bounce(type, "NewInSes")),
  explanation("bounced", { bounce_type: "Transient", bounce_subtype: "General", auto_reply: true }),
  ...delayNames.map(delay),
  delay("NewInSes"),
  explanation("delayed", { action: "delayed" }),
  ...[{}, uncertain].flatMap((certainty) => [
    ...[...complaintNames, "NewInSes"].map((name) => complaint(name, certainty)),
    explanation("complained", certainty),
    explanation("complained", { complaint_subtype: "OnAccountSuppressionList", ...certainty }),
  ]),
  explanation("complained", { complaint_subtype: "OnTenantSuppressionList" }),
  explanation("bounced", { ...uncertain, recipient_listed: false }),
  explanation("bounced", { reported_address: "other@example.org" }),
  ...[...complaintNames, "NewInSes"].map((name) =>
    complaint(name, { reported_address: "other@example.org" }),
  ),
  ...causes.map(([, code]) => bounce("Transient", "General", code)),
  // A server that refuses for good without a reason says no more than the type.
  ...causes.slice(0, -1).map(([, code]) => bounce("Permanent", "General", code)),
  explanation("rejected", { reason: "Bad content" }),
  explanation("rejected"),
  explanation("rendering_failed", { template_name: "a-name-of-64-characters".padEnd(64, "-") }),
  explanation("rendering_failed"),
  explanation("suppressed"),
  explanation("opened", uncertain),
  explanation("clicked", uncertain),
  explanation("subscription_changed", uncertain),
  discard("open_window"),
  discard("repeat"),
  ...machineNames.map((machine) => discard("machine", { machine })),
  discard("machine"),
  discard("new_reason"),
];
