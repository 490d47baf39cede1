import {
  type ActivityRules,
  type ActivityState,
  comesTooLate,
  continueFold,
  type Discard,
  type Folded,
  foldActivity,
} from "./activity.ts";
import type { EmailEvent } from "./email-event.ts";

/** An event as it is stored: `discarded` is the decision so far. */
export type KnownEvent = EmailEvent & { discarded: string | null };

/** A decision that differs from the stored one. */
type ChangedDecision = { event: EmailEvent; discard: Discard | null };

export type ActivityChange = {
  state: ActivityState;
  decisions: ChangedDecision[];
  /** Events that count now and did not before: these are told to webhooks. */
  counted: EmailEvent[];
};

/** Whether new events ask for the whole history, or the state alone is enough to add them. */
export function needsHistory(state: ActivityState, newEvents: readonly EmailEvent[]): boolean {
  return newEvents.some((event) => comesTooLate(state, event));
}

/** Adds new events on the incremental path; right only when `needsHistory` says no. */
export function addEvents(
  state: ActivityState,
  newEvents: readonly EmailEvent[],
  rules: ActivityRules,
): ActivityChange {
  const known = newEvents.map((event) => ({ ...event, discarded: null }));
  return changeOf(known, continueFold(state, newEvents, rules), () => true);
}

/**
 * Folds an activity anew from all its events.
 * @param history the new events too.
 */
export function refold(
  history: readonly KnownEvent[],
  isNew: (event: EmailEvent) => boolean,
  rules: ActivityRules,
): ActivityChange {
  return changeOf(history, foldActivity(history, rules), isNew);
}

function changeOf(
  events: readonly KnownEvent[],
  { state, discards }: Folded,
  isNew: (event: EmailEvent) => boolean,
): ActivityChange {
  const decided = events.map((event) => ({ event, discard: discards.get(event.id) ?? null }));
  return {
    state,
    decisions: decided.filter(({ event, discard }) => isChanged(event, discard)),
    counted: decided
      .filter(({ event, discard }) => discard === null && (isNew(event) || event.discarded !== null))
      .map(({ event }) => event),
  };
}

function isChanged(event: KnownEvent, discard: Discard | null): boolean {
  return event.discarded !== (discard?.reason ?? null) || event.detail.kept !== discard?.kept;
}
