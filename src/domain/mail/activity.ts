import { type ActivityStatus, higherStatus, statusOfEvent } from "./activity-status.ts";
import {
  type CountedClick,
  clickName,
  type Discard,
  isRepeatedClick,
  isWithinOpenWindow,
  repeatWindowMs,
} from "./decision.ts";
import type { EmailEvent } from "./email-event.ts";
import { isHeldBack, isNotSpam, looksLikeReply } from "./event-detail.ts";
import { machineSign } from "./machine-traffic.ts";
import { timeOf } from "./same-feedback.ts";

/**
 * What is known about one email to one recipient: a fold over all its events in order of event time. Fields are named
 * as in the API and the columns.
 */
export type ActivityState = {
  current_status: ActivityStatus;
  delivered_at: Date | null;
  bounced_at: Date | null;
  complained_at: Date | null;
  opened_first_at: Date | null;
  clicked_first_at: Date | null;
  /** Including machines. */
  opened_any_first_at: Date | null;
  clicked_any_first_at: Date | null;
  open_count: number;
  click_count: number;
  last_counted_open_at: Date | null;
  last_counted_open_id: string | null;
  /** Also null if clicks were counted by a version that did not store it. */
  last_counted_click_at: Date | null;
  /** False when an event does not say which of several recipients it was. */
  recipient_certain: boolean;
};

export type ActivityRules = {
  openWindowSeconds: number;
  /** Whether opens and clicks of machines are discarded. */
  machineFilter: boolean;
};

export const emptyActivity: ActivityState = {
  current_status: "queued",
  delivered_at: null,
  bounced_at: null,
  complained_at: null,
  opened_first_at: null,
  clicked_first_at: null,
  opened_any_first_at: null,
  clicked_any_first_at: null,
  open_count: 0,
  click_count: 0,
  last_counted_open_at: null,
  last_counted_open_id: null,
  last_counted_click_at: null,
  recipient_certain: true,
};

/** A state, and the decisions about the events that were folded into it. */
export type Folded = {
  state: ActivityState;
  /** By event id. */
  discards: Map<string, Discard>;
  /** The ids of bounces that are automatic replies. */
  replies: Set<string>;
};

/** The definition of an activity: all its events, in any order, determine its state. */
export function foldActivity(events: readonly EmailEvent[], rules: ActivityRules): Folded {
  return continueFold(emptyActivity, events, rules);
}

/**
 * Completes a fold of the events that still exist with the state before it: retention removes discarded events, and
 * these parts of the state still count them.
 */
export function withForgotten(folded: ActivityState, before: ActivityState): ActivityState {
  const { current_status: status } = folded;
  return {
    ...folded,
    current_status: before.current_status === "queued" ? status : higherStatus(status, "sent"),
    opened_any_first_at: earliest(before.opened_any_first_at, folded.opened_any_first_at),
    clicked_any_first_at: earliest(before.clicked_any_first_at, folded.clicked_any_first_at),
    recipient_certain: before.recipient_certain && folded.recipient_certain,
  };
}

/**
 * Adds events to a state. Correct only if none of them `comesTooLate`; otherwise all events of the activity have to
 * be folded again.
 * @param from may have more fields than the state.
 */
export function continueFold(
  from: ActivityState,
  events: readonly EmailEvent[],
  rules: ActivityRules,
): Folded {
  const discards = new Map<string, Discard>();
  const replies = new Set<string>();
  const clicks = new Map<string, CountedClick>();
  // One copy that changes: this runs for every event, and a copy for each costs more than the rules do.
  const state = copyOf(from);
  state.delivered_at = earliestDelivery(state, events);
  for (const event of inOrder(events)) {
    const discard = discardOf(state, event, rules, clicks);
    const isReply = isAutomaticReply(state, event);
    if (discard) discards.set(event.id, discard);
    else if (event.type === "clicked")
      clicks.set(clickName(event.detail), { at: event.occurred_at, id: event.id });
    if (isReply) replies.add(event.id);
    add(state, event, discard, isReply);
  }
  return { state, discards, replies };
}

/** The fields of a state alone. */
function copyOf(from: ActivityState): ActivityState {
  return {
    current_status: from.current_status,
    delivered_at: from.delivered_at,
    bounced_at: from.bounced_at,
    complained_at: from.complained_at,
    opened_first_at: from.opened_first_at,
    clicked_first_at: from.clicked_first_at,
    opened_any_first_at: from.opened_any_first_at,
    clicked_any_first_at: from.clicked_any_first_at,
    open_count: from.open_count,
    click_count: from.click_count,
    last_counted_open_at: from.last_counted_open_at,
    last_counted_open_id: from.last_counted_open_id,
    last_counted_click_at: from.last_counted_click_at,
    recipient_certain: from.recipient_certain,
  };
}

function inOrder(events: readonly EmailEvent[]): readonly EmailEvent[] {
  const timed = events.map(atEarliest);
  return timed.length > 1 ? timed.sort(byEventTime) : timed;
}

/** Whether an event could change an earlier decision, or depend on an event that is not in the state. */
export function comesTooLate(state: ActivityState, event: EmailEvent): boolean {
  switch (event.type) {
    case "delivered":
      return isDeliveryTooLate(state, event);
    case "opened":
      return isOpenTooLate(state, event);
    case "clicked":
      return isClickTooLate(state, event);
    default:
      return false;
  }
}

/**
 * The earliest delivery decides which opens and clicks came too soon for a person, and whether a bounce is an
 * automatic reply.
 */
function isDeliveryTooLate(state: ActivityState, event: EmailEvent): boolean {
  if (!isDelivery(event)) return false;
  const { delivered_at, opened_any_first_at, clicked_any_first_at, bounced_at } = state;
  if (delivered_at === null && bounced_at !== null) return true;
  const isEarliest = delivered_at === null || event.occurred_at < delivered_at;
  return isEarliest && (opened_any_first_at !== null || clicked_any_first_at !== null);
}

/**
 * Opens decide about one another: all opens after the last counted one are within its window, so a new open after
 * that changes nothing before.
 */
function isOpenTooLate(state: ActivityState, event: EmailEvent): boolean {
  const last = lastCountedOpen(state);
  return last !== null && byEventTime(event, { occurred_at: last.at, id: last.id }) < 0;
}

/** Clicks within a moment decide about one another, and the state does not hold which of them are on the same link. */
function isClickTooLate({ last_counted_click_at: last, click_count }: ActivityState, event: EmailEvent) {
  if (last === null) return click_count > 0;
  return event.occurred_at.getTime() - last.getTime() < repeatWindowMs;
}

/** Deliveries are folded first, because an open of the same millisecond is compared with them. */
function earliestDelivery({ delivered_at }: ActivityState, events: readonly EmailEvent[]): Date | null {
  return events.filter(isDelivery).reduce((at, { occurred_at }) => earlier(at, occurred_at), delivered_at);
}

function isDelivery({ type, detail }: EmailEvent): boolean {
  return type === "delivered" && detail.recipient_listed !== false;
}

function atEarliest(event: EmailEvent): EmailEvent {
  return event.detail.earliest_at === undefined ? event : { ...event, occurred_at: timeOf(event) };
}

/** Order of event time; ties by id, so that the order is the same in every process. */
function byEventTime(
  one: Pick<EmailEvent, "occurred_at" | "id">,
  other: Pick<EmailEvent, "occurred_at" | "id">,
): number {
  return one.occurred_at.getTime() - other.occurred_at.getTime() || (one.id < other.id ? -1 : 1);
}

function discardOf(
  state: ActivityState,
  { type, occurred_at: at, detail }: EmailEvent,
  rules: ActivityRules,
  clicks: ReadonlyMap<string, CountedClick>,
): Discard | null {
  if (type !== "opened" && type !== "clicked") return null;
  const machine = rules.machineFilter ? machineSign(detail, at, state.delivered_at) : null;
  if (machine) return { reason: "machine", machine };
  if (type === "clicked") {
    const last = clicks.get(clickName(detail));
    return last && isRepeatedClick(at, last) ? { reason: "repeat", kept: last.id } : null;
  }
  const last = lastCountedOpen(state);
  const isWithin = last && isWithinOpenWindow(at, last, rules.openWindowSeconds);
  return isWithin ? { reason: "open_window", kept: last.id } : null;
}

/** Whether a bounce is an automatic reply. The state must include the delivery. */
function isAutomaticReply({ delivered_at }: ActivityState, { type, detail }: EmailEvent): boolean {
  return type === "bounced" && delivered_at !== null && looksLikeReply(detail);
}

function lastCountedOpen({ last_counted_open_at: at, last_counted_open_id: id }: ActivityState) {
  return at !== null && id !== null ? { at, id } : null;
}

/** Adds an event to a state. */
function add(state: ActivityState, event: EmailEvent, discard: Discard | null, isReply: boolean): void {
  state.current_status = higherStatus(state.current_status, statusOfEvent(event, isReply));
  if (event.detail.recipient_certain === false) state.recipient_certain = false;
  if (!isReply) noteFirstTime(state, event);
  if (!discard) count(state, event);
}

function noteFirstTime(state: ActivityState, { type, occurred_at: at, detail }: EmailEvent): void {
  if (detail.recipient_listed === false) return;
  switch (type) {
    case "bounced":
      state.bounced_at = earlier(state.bounced_at, at);
      break;
    case "complained":
      if (!isNotSpam(detail) && !isHeldBack(detail)) state.complained_at = earlier(state.complained_at, at);
      break;
    case "opened":
      state.opened_any_first_at = earlier(state.opened_any_first_at, at);
      break;
    case "clicked":
      state.clicked_any_first_at = earlier(state.clicked_any_first_at, at);
  }
}

function count(state: ActivityState, { type, occurred_at: at, id }: EmailEvent): void {
  if (type === "opened") {
    state.opened_first_at = earlier(state.opened_first_at, at);
    state.open_count++;
    state.last_counted_open_at = at;
    state.last_counted_open_id = id;
  }
  if (type === "clicked") {
    state.clicked_first_at = earlier(state.clicked_first_at, at);
    state.click_count++;
    state.last_counted_click_at = at;
  }
}

function earliest(one: Date | null, other: Date | null): Date | null {
  return other === null ? one : earlier(one, other);
}

function earlier(one: Date | null, other: Date): Date {
  return one !== null && one <= other ? one : other;
}
