import type { EmailEvent } from "./email-event.ts";
import { isNotSpam, onAccountList, onTenantList } from "./event-detail.ts";

/** Why an address is not to be written to any more. */
export type SuppressionReason = "bounce" | "complaint";

/** @property isEcho SES knew it before: it held the email back itself. Recorded, and told to nobody. */
export type Suppression = { reason: SuppressionReason; isEcho: boolean };

const suppressingBounces = ["General", "NoEmail", "Suppressed"];

/**
 * Whether an event says that its recipient is not to be written to any more: a permanent bounce that is the
 * address's own fault, or a complaint. Never where the mailbox that is reported is, or may be, another.
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
 * The reason, where SES held an email back because of the suppression list of its tenant: the address is not to be
 * written to for that tenant, and for others nothing follows.
 */
export function tenantSuppressionOf({ type, detail }: EmailEvent, isTest: boolean): SuppressionReason | null {
  if (isTest || detail.reported_address !== undefined || detail.recipient_certain === false) return null;
  if (type === "bounced" && detail.bounce_subtype === onTenantList) return "bounce";
  const isComplaint = type === "complained" && !isNotSpam(detail);
  return isComplaint && detail.complaint_subtype === onTenantList ? "complaint" : null;
}
