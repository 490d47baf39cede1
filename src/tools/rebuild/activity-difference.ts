import { canonicalJson } from "../../domain/json.ts";
import type { ActivityRules, ActivityState } from "../../domain/mail/activity.ts";
import { type ActivityChange, type KnownEvent, refold } from "../../domain/mail/activity-change.ts";
import { decidedPart } from "../../domain/mail/decision.ts";
import type { EmailEvent } from "../../domain/mail/email-event.ts";
import { type EventDetail, mergeDetails } from "../../domain/mail/event-detail.ts";
import { type MailFacts, mergeFacts } from "../../domain/mail/mail-facts.ts";
import { adoptStored } from "../../domain/mail/same-feedback.ts";
import { dayMs, isoDay } from "../../domain/time-text.ts";
import type { StoredEvent } from "../../storage/events.ts";

/** An activity as it is stored. */
export type StoredActivity = { row: MailFacts & ActivityState; events: readonly StoredEvent[] };

/** An activity according to the journal. */
export type JournalActivity = {
  /** From applied notifications; null if there are none. */
  facts: MailFacts | null;
  events: readonly EmailEvent[];
  /** From notifications that wait for a worker: not to be added here, and not to be removed. */
  waitingIds: ReadonlySet<string>;
};

/** A value that differs. */
type Difference = { field: string; stored: unknown; rebuilt: unknown };

export type RebuiltActivity = {
  row: MailFacts & ActivityState;
  change: ActivityChange;
  /** In the journal, but not stored. */
  missing: EmailEvent[];
  /** Stored, but not in the journal any more. */
  stale: KnownEvent[];
  /** Stored with a different detail. */
  corrected: EmailEvent[];
  /** Empty if everything is correct. */
  differences: Difference[];
};

/**
 * Computes an activity by the current rules, from the journal and from stored events that are older than the journal.
 */
export function rebuildActivity(
  stored: StoredActivity | null,
  told: JournalActivity,
  rules: ActivityRules,
  reach: JournalReach,
): RebuiltActivity | null {
  if (stored === null && told.facts === null) return null;
  const sorted = sortEvents(stored?.events ?? [], told, reach);
  const missingIds = new Set(sorted.missing.map(({ id }) => id));
  const history = [...sorted.kept, ...sorted.missing.map((event) => ({ ...event, discarded: null }))];
  const before = sorted.isAllTold && sorted.kept.length > 0 ? null : (stored?.row ?? null);
  const change = refold(history, ({ id }) => missingIds.has(id), rules, before);
  const row = { ...change.state, ...rebuiltFacts(stored?.row ?? null, told.facts, sorted.isAllTold) };
  const differences = [...rowDifferences(stored?.row ?? null, row), ...eventDifferences(sorted, change)];
  return { row, change, ...sorted, differences };
}

type SortedEvents = ChangedEvents & {
  /** Stored and correct, with the current detail. */
  kept: KnownEvent[];
  /** Whether the journal holds the whole history. */
  isAllTold: boolean;
};

/** Compares stored events with those in the journal. */
function sortEvents(
  stored: StoredActivity["events"],
  told: JournalActivity,
  reach: JournalReach,
): SortedEvents {
  const toldEvents = adoptStored(told.events, stored);
  const toldById = new Map(toldEvents.map((event) => [event.id, event]));
  const storedIds = new Set(stored.map(({ id }) => id));
  const isStale = (event: StoredEvent) =>
    !toldById.has(event.id) && !told.waitingIds.has(event.id) && isJournals(event, reach);
  const compared = stored
    .filter((event) => !isStale(event))
    .map((event) => ({ before: event, now: withDetail(event, toldById.get(event.id), reach) }));
  const kept = compared.map(({ now }) => now);
  return {
    kept,
    stale: stored.filter(isStale),
    missing: toldEvents.filter(({ id }) => !storedIds.has(id)),
    corrected: compared
      .filter(({ before, now }) => isCorrected(before.detail, now.detail))
      .map(({ now }) => now),
    isAllTold: kept.every(({ id, occurred_at }) => toldById.has(id) && reachesTo(reach, occurred_at)),
  };
}

/**
 * Whether the journal would contain an event if it were correct. An event that was recorded after the journal was
 * read may be correct.
 */
function isJournals(event: StoredEvent, reach: JournalReach): boolean {
  return reachesTo(reach, event.occurred_at) && event.created_at < reach.readAt;
}

function withDetail<Event extends KnownEvent>(
  event: Event,
  told: EmailEvent | undefined,
  reach: JournalReach,
): Event {
  if (told === undefined) return event;
  if (!reachesTo(reach, event.occurred_at))
    return { ...event, detail: mergeDetails(event.detail, told.detail) };
  return { ...event, detail: { ...told.detail, ...decidedPart(event.detail) } };
}

/** Events that were stored before unnamed fields were kept are correct without them. */
function isCorrected(before: EventDetail, now: EventDetail): boolean {
  const { more, ...named } = now;
  return !isSame(before, now) && !(before.more === undefined && isSame(before, named));
}

/** Facts that only older notifications had cannot be verified, and stay. */
function rebuiltFacts(stored: MailFacts | null, told: MailFacts | null, isAllTold: boolean): MailFacts {
  if (told === null || stored === null) {
    const only = told ?? stored;
    if (only === null) throw new Error("unreachable: an activity of which nothing is known");
    return mergeFacts(only, only);
  }
  return isAllTold ? mergeFacts(told, told) : mergeFacts(stored, told);
}

function rowDifferences(
  stored: (MailFacts & ActivityState) | null,
  rebuilt: MailFacts & ActivityState,
): Difference[] {
  const values = new Map<string, unknown>(Object.entries(stored ?? {}));
  return Object.entries(rebuilt)
    .map(([field, value]) => ({ field, stored: values.get(field) ?? null, rebuilt: value as unknown }))
    .filter((difference) => !isSame(difference.stored, difference.rebuilt) && !isUnnoted(difference));
}

/** A row from before this column was written is correct without it. */
function isUnnoted({ field, stored }: Difference): boolean {
  return field === "last_counted_click_at" && stored === null;
}

type ChangedEvents = Pick<RebuiltActivity, "missing" | "stale" | "corrected">;

function eventDifferences(
  { missing, stale, corrected }: ChangedEvents,
  change: ActivityChange,
): Difference[] {
  const missingIds = new Set(missing.map(({ id }) => id));
  return [
    ...missing.map((event) => ({ field: nameOf(event), stored: "missing", rebuilt: "told by the journal" })),
    ...stale.map((event) => ({ field: nameOf(event), stored: "there", rebuilt: "not told by the journal" })),
    ...corrected.map((event) => ({
      field: nameOf(event),
      stored: "another detail",
      rebuilt: "as the journal tells",
    })),
    ...change.decisions
      .filter(({ event }) => !missingIds.has(event.id))
      .map(({ event, decision }) => ({
        field: nameOf(event),
        stored: "decided otherwise",
        rebuilt: decision.discarded ?? "counts",
      })),
  ];
}

function nameOf({ type, occurred_at, id }: EmailEvent): string {
  return `event ${type} of ${occurred_at.toISOString()} (${id})`;
}

function isSame(one: unknown, other: unknown): boolean {
  return canonicalJson(one) === canonicalJson(other);
}

/** How far the journal reaches back, and when it was read. */
export type JournalReach = {
  /** Days that it has a partition for, as `2026-11-24`. */
  days: ReadonlySet<string>;
  /** Retention has dropped days before this time. A dropped day may exist again in part, after a replay. */
  droppedBefore: Date | null;
  readAt: Date;
};

/**
 * Whether the journal holds everything that was published about a time: its whole day and the day after, because SES
 * publishes events with a delay.
 */
export function reachesTo({ days, droppedBefore, readAt }: JournalReach, time: Date): boolean {
  const isDropped = droppedBefore !== null && time < droppedBefore;
  const dayAfter = new Date(time.getTime() + dayMs);
  const hasDayAfter = days.has(isoDay(dayAfter)) || dayAfter > readAt;
  return !isDropped && days.has(isoDay(time)) && hasDayAfter;
}
