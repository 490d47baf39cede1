import type { EmailEvent } from "./email-event.ts";

/** Why an address is not to be written to any more. */
export type SuppressionReason = "bounce" | "complaint";

/** @property isEcho SES knew it before: it held the email back itself. Recorded, and told to nobody. */
export type Suppression = { reason: SuppressionReason; isEcho: boolean };

const suppressingBounces = ["General", "NoEmail", "Suppressed", "OnTenantSuppressionList"];
/** On both bounces and complaints: held back because of the suppression list of the whole SES account. */
const echo = "OnAccountSuppressionList";

/**
 * Whether an event says that its recipient is not to be written to any more: a permanent bounce that is the
 * address's own fault, or a complaint. Never where the mailbox that is reported is, or may be, another.
 * @param isTest mail to the mailbox simulator, which bounces on demand.
 */
export function suppressionOf({ type, detail }: EmailEvent, isTest: boolean): Suppression | null {
  const isOfAnother = detail.reported_address !== undefined || detail.recipient_certain === false;
  if (isTest || isOfAnother) return null;
  if (type === "bounced" && detail.bounce_type === "Permanent") {
    const isEcho = detail.bounce_subtype === echo;
    const isSuppressing = isEcho || suppressingBounces.includes(detail.bounce_subtype ?? "");
    return isSuppressing ? { reason: "bounce", isEcho } : null;
  }
  if (type === "complained") {
    const isSpam = detail.complaint_feedback_type !== "not-spam";
    const isEcho = detail.complaint_subtype === echo;
    return isSpam ? { reason: "complaint", isEcho } : null;
  }
  return null;
}
