import type { EmailEvent } from "./email-event.ts";
import { isHeldBack, isNotSpam } from "./event-detail.ts";

/**
 * How far an email has come. Its status is the highest rank ever reached, in whatever order events arrive: a delivery
 * that is reported after a complaint leaves the status complained.
 */
const rank = {
  queued: 0,
  sent: 1,
  delayed: 2,
  bounced_soft: 3,
  delivered: 4,
  failed: 5,
  suppressed: 6,
  bounced_hard: 7,
  complained: 8,
} as const;

export type ActivityStatus = keyof typeof rank;

/** The statuses as the API names them; hard and soft bounces share a name. */
export const apiStatuses = [
  "queued",
  "sent",
  "delayed",
  "bounced",
  "delivered",
  "failed",
  "suppressed",
  "complained",
] as const;
export type ApiStatus = (typeof apiStatuses)[number];

/** The higher of two. */
export function higherStatus(one: ActivityStatus, other: ActivityStatus): ActivityStatus {
  return rank[other] > rank[one] ? other : one;
}

/**
 * The status that one event implies. SES has accepted every email that it reports about, so the minimum is `sent`.
 * @param isReply whether the bounce is an automatic reply.
 */
export function statusOfEvent(
  { type, detail }: Pick<EmailEvent, "type" | "detail">,
  isReply: boolean,
): ActivityStatus {
  // SES does not say which of several recipients is meant.
  if (detail.recipient_listed === false) return "sent";
  switch (type) {
    case "sent":
    case "delayed":
    case "delivered":
    case "suppressed":
      return type;
    case "complained":
      if (isHeldBack(detail)) return "suppressed";
      return isNotSpam(detail) ? "sent" : "complained";
    case "bounced":
      if (isReply) return "sent";
      if (isHeldBack(detail)) return "suppressed";
      return detail.bounce_type === "Permanent" ? "bounced_hard" : "bounced_soft";
    case "rejected":
    case "rendering_failed":
      return "failed";
    case "opened":
    case "clicked":
    case "subscription_changed":
      return "sent";
    default:
      throw new Error(`unreachable: ${type satisfies never}`);
  }
}

export function apiStatus(status: ActivityStatus): ApiStatus {
  return status === "bounced_hard" || status === "bounced_soft" ? "bounced" : status;
}

/** The stored statuses behind an API status. */
export function storedStatuses(status: ApiStatus): ActivityStatus[] {
  return status === "bounced" ? ["bounced_soft", "bounced_hard"] : [status];
}
