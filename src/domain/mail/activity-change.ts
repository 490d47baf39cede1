import { groupBy } from "../maps.ts";
import {
  type ActivityRules,
  type ActivityState,
  comesTooLate,
  continueFold,
  type Folded,
  foldActivity,
  withForgotten,
} from "./activity.ts";
import { type Decision, decisionOf, isChanged } from "./decision.ts";
import type { EmailEvent } from "./email-event.ts";
import { type MailFacts, mergeFacts } from "./mail-facts.ts";
import { identityOf, unitedCopies } from "./same-feedback.ts";

/** An event as it is stored; `discarded` is the last decision. */
export type KnownEvent = EmailEvent & { discarded: string | null };

/** A decision that differs from the stored one. */
type ChangedDecision = { event: EmailEvent; decision: Decision };

export type ActivityChange = {
  state: ActivityState;
  decisions: ChangedDecision[];
  /** Events that count now and did not before, with their decisions. Webhooks are sent for these. */
  counted: EmailEvent[];
};

/** Whether new events need the whole history; otherwise the state is enough to add them. */
export function needsHistory(state: ActivityState, newEvents: readonly EmailEvent[]): boolean {
  return newEvents.some((event) => comesTooLate(state, event));
}

/** Adds new events incrementally. Correct only if `needsHistory` is false. */
export function addEvents(
  state: ActivityState,
  newEvents: readonly EmailEvent[],
  rules: ActivityRules,
): ActivityChange {
  const known = newEvents.map((event) => ({ ...event, discarded: null }));
  return changeOf(known, continueFold(state, newEvents, rules), () => true);
}

/**
 * Folds an activity again from all its events.
 * @param history including the new events.
 * @param before the state so far, if it may depend on events that retention has removed; else null.
 */
export function refold(
  history: readonly KnownEvent[],
  isNew: (event: EmailEvent) => boolean,
  rules: ActivityRules,
  before: ActivityState | null,
): ActivityChange {
  const { state, ...decisions } = foldActivity(history, rules);
  return changeOf(history, { state: before ? withForgotten(state, before) : state, ...decisions }, isNew);
}

function changeOf(
  events: readonly KnownEvent[],
  { state, discards, replies }: Folded,
  isNew: (event: EmailEvent) => boolean,
): ActivityChange {
  const decided = events.map((event) => ({
    event,
    decision: decisionOf(event, {
      discard: discards.get(event.id) ?? null,
      isReply: replies.has(event.id),
      isNew: isNew(event),
    }),
  }));
  return {
    state,
    decisions: decided.filter(({ event, decision }) => isChanged(event, decision)),
    counted: decided
      .filter(
        ({ event, decision }) => decision.discarded === null && (isNew(event) || event.discarded !== null),
      )
      .map(({ event, decision }) => ({ ...event, detail: { ...event.detail, ...decision.detail } })),
  };
}

/** What a batch reports about one email to one recipient. */
export type TouchedActivity = { projectId: string; facts: MailFacts; events: EmailEvent[] };

export type ReportedEvent = { projectId: string; facts: MailFacts; event: EmailEvent };

/** Groups the events of a batch by activity. Copies of an event are merged. */
export function touchedActivities(told: readonly ReportedEvent[]): TouchedActivity[] {
  const groups = groupBy(told, ({ projectId, facts }) => naturalKey({ project_id: projectId, ...facts }));
  return [...groups.values()].map((group) => ({
    projectId: group.map(({ projectId }) => projectId)[0] ?? "",
    facts: group.map(({ facts }) => facts).reduce(mergeFacts),
    events: distinct(group.map(({ event }) => event)),
  }));
}

function distinct(events: readonly EmailEvent[]): EmailEvent[] {
  const byIdentity = new Map<string, EmailEvent>();
  for (const event of events) {
    const known = byIdentity.get(identityOf(event));
    byIdentity.set(identityOf(event), known ? unitedCopies(known, event) : event);
  }
  return [...byIdentity.values()];
}

/** The natural key of an activity: the email and the recipient, within a project. */
export function naturalKey(row: { project_id: string; message_id: string; recipient: string }): string {
  return JSON.stringify([row.project_id, row.message_id, row.recipient]);
}
