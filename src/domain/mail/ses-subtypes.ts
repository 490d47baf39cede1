import type { EventDetail } from "./event-detail.ts";

/*
 * Subtypes of bounces and complaints that change what the event is.
 * Source: "Contents of event data", Amazon SES developer guide, and captures of its mailbox simulator.
 */

const ownLists = ["OnAccountSuppressionList", "OnTenantSuppressionList"];

/** SES did not send the email, because the address stands on a suppression list of the sender's own at SES. */
export function isHeldBack({ bounce_subtype, complaint_subtype }: EventDetail): boolean {
  return [bounce_subtype, complaint_subtype].some((subtype) => ownLists.includes(subtype ?? ""));
}

/** The recipient took the email out of the spam folder: the contrary of a complaint. */
export function isNotSpam({ complaint_feedback_type }: EventDetail): boolean {
  return complaint_feedback_type?.toLowerCase() === "not-spam";
}

/**
 * A bounce that looks like an out-of-office reply, which has no delivery status. It is one when the email has been
 * delivered; else there was nothing to reply to.
 */
export function looksLikeReply(detail: EventDetail): boolean {
  const isGeneral = detail.bounce_type === "Transient" && detail.bounce_subtype === "General";
  const isTheirs = detail.recipient_listed !== false;
  return isTheirs && isGeneral && !detail.action && !detail.status_code && !detail.diagnostic_code;
}
