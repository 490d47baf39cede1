import { type ActivityStatus, higherStatus, statusOfEvent } from "./activity-status.ts";
import type { EmailEvent } from "./email-event.ts";
import { isWithinOpenWindow } from "./open-window.ts";

/**
 * What is known of one email to one recipient: a fold over all its events in order of event time.
 * Field names are those of the API and of the columns.
 */
export type ActivityState = {
  current_status: ActivityStatus;
  delivered_at: Date | null;
  bounced_at: Date | null;
  complained_at: Date | null;
  opened_first_at: Date | null;
  clicked_first_at: Date | null;
  /** Machines counted too. */
  opened_any_first_at: Date | null;
  clicked_any_first_at: Date | null;
  open_count: number;
  click_count: number;
  last_counted_open_at: Date | null;
  last_counted_open_id: string | null;
  /** False when an event does not say which of several recipients it was. */
  recipient_certain: boolean;
};

export type ActivityRules = { openWindowSeconds: number };

type DiscardReason = "open_window";

/** Why an event does not count, and which one stands in its place. */
export type Discard = { reason: DiscardReason; kept: string };

export const nothingKnown: ActivityState = {
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
  recipient_certain: true,
};

/** A state and, for each event that went into it, the decision about it. */
export type Folded = { state: ActivityState; discards: Map<string, Discard> };

/** The definition of an activity: all its known events, in any order, make its state. */
export function foldActivity(events: readonly EmailEvent[], rules: ActivityRules): Folded {
  return continueFold(nothingKnown, events, rules);
}

/**
 * Adds events to a state. Right only when none of them `comesTooLate`; otherwise all events of the activity are
 * folded anew.
 */
export function continueFold(
  from: ActivityState,
  events: readonly EmailEvent[],
  rules: ActivityRules,
): Folded {
  const discards = new Map<string, Discard>();
  const state = events.toSorted(byEventTime).reduce((before, event) => {
    const discard = discardOf(before, event, rules);
    if (discard) discards.set(event.id, discard);
    return after(before, event, discard);
  }, from);
  return { state, discards };
}

/**
 * Whether an event could change an earlier decision. Only opens decide over one another, and every open after
 * the last counted one lies within its window, so that a new one after it changes nothing before.
 */
export function comesTooLate(state: ActivityState, event: EmailEvent): boolean {
  const last = lastCountedOpen(state);
  return (
    event.type === "opened" && last !== null && byEventTime(event, { occurred_at: last.at, id: last.id }) < 0
  );
}

/** Order of event time; ties by id, so that every machine sees the same order. */
function byEventTime(
  one: Pick<EmailEvent, "occurred_at" | "id">,
  other: Pick<EmailEvent, "occurred_at" | "id">,
): number {
  return one.occurred_at.getTime() - other.occurred_at.getTime() || (one.id < other.id ? -1 : 1);
}

function discardOf(state: ActivityState, event: EmailEvent, rules: ActivityRules): Discard | null {
  const last = lastCountedOpen(state);
  if (
    event.type === "opened" &&
    last &&
    isWithinOpenWindow(event.occurred_at, last, rules.openWindowSeconds)
  ) {
    return { reason: "open_window", kept: last.id };
  }
  return null;
}

function lastCountedOpen({ last_counted_open_at: at, last_counted_open_id: id }: ActivityState) {
  return at !== null && id !== null ? { at, id } : null;
}

function after(state: ActivityState, event: EmailEvent, discard: Discard | null): ActivityState {
  const status = statusOfEvent(event);
  const reached = {
    ...state,
    current_status: status ? higherStatus(state.current_status, status) : state.current_status,
    recipient_certain: state.recipient_certain && event.detail.recipient_certain !== false,
  };
  return { ...reached, ...firstTimes(state, event), ...(discard ? {} : counted(state, event)) };
}

function firstTimes(
  state: ActivityState,
  { type, occurred_at: at, detail }: EmailEvent,
): Partial<ActivityState> {
  switch (type) {
    case "delivered":
      return { delivered_at: earlier(state.delivered_at, at) };
    case "bounced":
      return detail.auto_reply ? {} : { bounced_at: earlier(state.bounced_at, at) };
    case "complained":
      return { complained_at: earlier(state.complained_at, at) };
    case "opened":
      return { opened_any_first_at: earlier(state.opened_any_first_at, at) };
    case "clicked":
      return { clicked_any_first_at: earlier(state.clicked_any_first_at, at) };
    default:
      return {};
  }
}

function counted(state: ActivityState, { type, occurred_at: at, id }: EmailEvent): Partial<ActivityState> {
  if (type === "opened") {
    return {
      opened_first_at: earlier(state.opened_first_at, at),
      open_count: state.open_count + 1,
      last_counted_open_at: at,
      last_counted_open_id: id,
    };
  }
  if (type === "clicked") {
    return { clicked_first_at: earlier(state.clicked_first_at, at), click_count: state.click_count + 1 };
  }
  return {};
}

function earlier(one: Date | null, other: Date): Date {
  return one !== null && one <= other ? one : other;
}
