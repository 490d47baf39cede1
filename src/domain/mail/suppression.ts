import type { EmailEvent } from "./email-event.ts";
import { isNotSpam, onAccountList, onTenantList } from "./event-detail.ts";

/** Why no more emails should be sent to an address. */
export type SuppressionReason = "bounce" | "complaint";

/** @property isEcho SES held the email back because it already knew: recorded, but no webhook is sent. */
export type Suppression = { reason: SuppressionReason; isEcho: boolean };

const suppressingBounces = ["General", "NoEmail", "Suppressed"];

/**
 * Whether an event suppresses its recipient: a permanent bounce caused by the address itself, or a complaint. Never
 * if the reported mailbox is, or may be, another.
 * @param isTest mail to the mailbox simulator, which bounces on demand.
 */
export function suppressionOf({ type, detail }: EmailEvent, isTest: boolean): Suppression | null {
  const isOfAnother = detail.reported_address !== undefined || detail.recipient_certain === false;
  if (isTest || isOfAnother) return null;
  if (type === "bounced" && detail.bounce_type === "Permanent") {
    const isEcho = detail.bounce_subtype === onAccountList;
    const isSuppressing = isEcho || suppressingBounces.includes(detail.bounce_subtype ?? "");
    return isSuppressing ? { reason: "bounce", isEcho } : null;
  }
  if (type === "complained") {
    const isOfProject = detail.complaint_subtype !== onTenantList && !isNotSpam(detail);
    const isEcho = detail.complaint_subtype === onAccountList;
    return isOfProject ? { reason: "complaint", isEcho } : null;
  }
  return null;
}

/**
 * The reason, if SES held an email back because of its tenant's suppression list. It suppresses the address for that
 * tenant only.
 */
export function tenantSuppressionOf({ type, detail }: EmailEvent, isTest: boolean): SuppressionReason | null {
  if (isTest || detail.reported_address !== undefined || detail.recipient_certain === false) return null;
  if (type === "bounced" && detail.bounce_subtype === onTenantList) return "bounce";
  const isComplaint = type === "complained" && !isNotSpam(detail);
  return isComplaint && detail.complaint_subtype === onTenantList ? "complaint" : null;
}
