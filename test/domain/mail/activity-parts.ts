import { type ActivityRules, foldActivity } from "../../../src/domain/mail/activity.ts";
import type { ActivityStatus } from "../../../src/domain/mail/activity-status.ts";
import type { EmailEvent } from "../../../src/domain/mail/email-event.ts";
import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import { agents, oneEvent } from "./activity-histories.ts";

export const rules = { openWindowSeconds: 1200, machineFilter: true };

export const fold = (...events: EmailEvent[]) => foldActivity(events, rules);

export const open = (ms: number, id?: string) => oneEvent("opened", ms, {}, id);

/** The rule of rules.md, for the user agents of these histories. */
export function isMachines(
  event: EmailEvent,
  events: EmailEvent[],
  { machineFilter }: ActivityRules,
): boolean {
  if (!machineFilter || !["opened", "clicked"].includes(event.type)) return false;
  const { detail } = event;
  const delivered = detail.recipient_certain === false ? null : earliest(events, "delivered");
  const isTooSoon = delivered !== null && timeOf(event) - delivered.getTime() <= 2000;
  const isNamed = agents.machines.includes(detail.user_agent ?? "") && detail.is_bot_event !== "Unlikely";
  const isStyleSheet = detail.url_clicked?.endsWith(".css") ?? false;
  return detail.is_bot_event === "Likely" || isTooSoon || isNamed || isStyleSheet;
}

export function isReply({ type, detail }: EmailEvent, events: EmailEvent[]): boolean {
  const looksSo = detail.bounce_subtype === "General" && detail.status_code === undefined;
  return type === "bounced" && looksSo && earliest(events, "delivered") !== null;
}

export function isComplaint({ type, detail }: EmailEvent): boolean {
  return type === "complained" && !detail.complaint_feedback_type && !isHeldBack(detail);
}

function isHeldBack({ bounce_subtype, complaint_subtype }: EventDetail): boolean {
  return `${bounce_subtype} ${complaint_subtype}`.includes("SuppressionList");
}

export const timeOf = ({ occurred_at }: EmailEvent) => occurred_at.getTime();

export function inOrder(events: EmailEvent[]): EmailEvent[] {
  const key = (event: EmailEvent) => `${String(timeOf(event)).padStart(15, "0")} ${event.id}`;
  return events.toSorted((one, other) => (key(one) < key(other) ? -1 : 1));
}

export function earliest(events: EmailEvent[], type: string): Date | null {
  const times = events.filter((event) => event.type === type).map(timeOf);
  return times.length === 0 ? null : new Date(Math.min(...times));
}

/** The rank order of rules.md, asked from the top. */
export function highest(events: EmailEvent[]): ActivityStatus {
  const has = (...types: string[]) => events.some(({ type }) => types.includes(type));
  const bounces = events.filter(({ type }) => type === "bounced");
  const held = events.filter(({ type, detail }) => /ed$/.test(type) && isHeldBack(detail));
  if (events.some(isComplaint)) return "complained";
  if (bounces.some((event) => event.detail.bounce_type === "Permanent" && !held.includes(event)))
    return "bounced_hard";
  if (has("suppressed") || held.some(({ type }) => type === "bounced" || type === "complained"))
    return "suppressed";
  if (has("rejected", "rendering_failed")) return "failed";
  if (has("delivered")) return "delivered";
  if (bounces.length > 0) return "bounced_soft";
  if (has("delayed")) return "delayed";
  return events.length > 0 ? "sent" : "queued";
}
