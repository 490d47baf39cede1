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
import { type Decision, type DiscardReason, decisionOf, isChanged } from "./decision.ts";
import type { EmailEvent } from "./email-event.ts";
import { type MailFacts, mergeFacts } from "./mail-facts.ts";
import { identityOf, unitedCopies } from "./same-feedback.ts";

/** An event as it is stored; `discarded` is the last decision, null or absent if it counts or nothing was decided. */
export type KnownEvent = EmailEvent & { discarded?: string | null };

/** A decision that differs from the stored one. */
type ChangedDecision = { event: EmailEvent; decision: Decision };

export type ActivityChange = {
  state: ActivityState;
  decisions: ChangedDecision[];
  /** Events that count now and did not before, with their decisions. Webhooks are sent for these. */
  counted: EmailEvent[];
  /** Why events are discarded that are new or decided again. */
  discardedFor: DiscardReason[];
};

/** Whether new events need the whole history; otherwise the state is enough to add them. */
export function needsHistory(state: ActivityState, newEvents: readonly EmailEvent[]): boolean {
  return newEvents.some((event) => comesTooLate(state, event));
}

/** Adds new events incrementally. Correct only if `needsHistory` is false. */
export function addEvents(
  state: ActivityState,
  newEvents: readonly KnownEvent[],
  rules: ActivityRules,
): ActivityChange {
  return changeOf(newEvents, continueFold(state, newEvents, rules), () => true);
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
  const change: ActivityChange = { state, decisions: [], counted: [], discardedFor: [] };
  for (const event of events) {
    const stored = { discarded: event.discarded ?? null, detail: event.detail };
    const isNewEvent = isNew(event);
    const decision = decisionOf(stored, {
      discard: discards.get(event.id) ?? null,
      isReply: replies.has(event.id),
      isNew: isNewEvent,
    });
    const isDifferent = isChanged(stored, decision);
    if (isDifferent) change.decisions.push({ event, decision });
    if (decision.discarded === null) {
      if (isNewEvent || stored.discarded !== null) change.counted.push(decided(event, decision));
    } else if (isNewEvent || isDifferent) change.discardedFor.push(decision.discarded);
  }
  return change;
}

/** An event with a decision about it. */
export function decided<Event extends EmailEvent>(event: Event, { detail }: Decision): Event {
  return Object.keys(detail).length === 0 ? event : { ...event, detail: { ...event.detail, ...detail } };
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
  // A project's id has one length, so that the place of the colon says where the message's id ends.
  return `${row.project_id}${row.message_id.length}:${row.message_id}${row.recipient}`;
}
