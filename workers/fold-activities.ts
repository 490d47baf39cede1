import { type ActivityRules, emptyActivity } from "../src/domain/mail/activity.ts";
import {
  type ActivityChange,
  addEvents,
  decided,
  naturalKey,
  needsHistory,
  refold,
  type TouchedActivity,
} from "../src/domain/mail/activity-change.ts";
import type { EmailEvent } from "../src/domain/mail/email-event.ts";
import { type EventDetail, mergeDetails } from "../src/domain/mail/event-detail.ts";
import { activityId, type MailFacts, mergeFacts } from "../src/domain/mail/mail-facts.ts";
import { adoptStored } from "../src/domain/mail/same-feedback.ts";
import {
  type ActivityName,
  type ActivityRow,
  activityRow,
  insertActivities,
  lockActivities,
  lockInserted,
} from "../src/storage/activity.ts";
import type { Database } from "../src/storage/database.ts";
import {
  detailsOf,
  eventsOfActivities,
  feedbackOfActivities,
  type NewEvent,
  type StoredEvent,
  updateDetails,
} from "../src/storage/events.ts";

/*
 * Nearly always all events of a batch are new and none is late. So activities are folded before their events are stored,
 * and are written with their final values; those for which that turns out to be wrong are folded again.
 */

/** A locked activity, and what a batch reports about it. */
export type LockedActivity = {
  row: ActivityRow;
  /** The facts of the row and of the batch, merged. */
  facts: MailFacts;
  events: EmailEvent[];
  /** Whether the row was inserted here, as it will be if all the events are new. */
  isInserted: boolean;
};

/** `events` are only the new ones. */
type SplitActivity = LockedActivity & {
  /** Known events to whose details the batch adds. */
  enriched: EmailEvent[];
};

/**
 * @property isCorrected whether it was folded again after its events were stored.
 * @property recordedAt by event id, for events that are new or decided again.
 */
export type ChangedActivity = SplitActivity & {
  isCorrected: boolean;
  change: ActivityChange;
  recordedAt: ReadonlyMap<string, Date>;
};

/** @throws if there is no such project. */
export type RulesOf = (projectId: string) => ActivityRules;

/**
 * A locked activity, as it will be if all its events are new.
 * @property isLate whether earlier decisions may change, so that its history is needed.
 */
export type ExpectedActivity = LockedActivity & { isLate: boolean; change: ActivityChange };

/** Locks the touched activities, and inserts missing ones. @returns without the activities of erased people. */
export async function lockOrInsert(
  tx: Database,
  touched: readonly TouchedActivity[],
  rulesOf: RulesOf,
): Promise<ExpectedActivity[]> {
  const existing = await lockActivities(tx, touched.map(nameOf));
  const known = await expectOn(tx, existing, touched, rulesOf);
  const names = new Set(existing.map(naturalKey));
  const missing = touched.filter((one) => !names.has(keyOf(one)));
  const created = missing.map((one) => expect(firstActivity(one), rulesOf));
  const insertedIds = await insertActivities(tx, created.map(rowOf));
  if (insertedIds.size === created.length) return [...known, ...created];
  const inserted = created.filter(({ row }) => insertedIds.has(row.id));
  const others = missing.filter((_, place) => !insertedIds.has(created[place]?.row.id ?? ""));
  const insertedMeanwhile = await lockInserted(tx, others.map(nameOf));
  return [...known, ...inserted, ...(await expectOn(tx, insertedMeanwhile, others, rulesOf))];
}

async function expectOn(
  tx: Database,
  rows: readonly ActivityRow[],
  touched: readonly TouchedActivity[],
  rulesOf: RulesOf,
): Promise<ExpectedActivity[]> {
  const locked = await withStoredCopies(tx, pair(rows, touched));
  return locked.map((one) => expect(one, rulesOf));
}

function expect(locked: LockedActivity, rulesOf: RulesOf): ExpectedActivity {
  const { row, events } = locked;
  const change = addEvents(row, events, rulesOf(row.project_id));
  return { isLate: needsHistory(row, events), change, ...locked };
}

function nameOf({ projectId, facts }: TouchedActivity): ActivityName {
  return { project_id: projectId, message_id: facts.message_id, recipient: facts.recipient };
}

function keyOf(one: TouchedActivity): string {
  return naturalKey(nameOf(one));
}

function firstActivity({ projectId, facts, events }: TouchedActivity): LockedActivity {
  const key = { project_id: projectId, id: activityId(projectId, facts) };
  const row = activityRow(key, facts, emptyActivity);
  return { row, facts, events, isInserted: true };
}

function pair(rows: readonly ActivityRow[], touched: readonly TouchedActivity[]): LockedActivity[] {
  const byKey = new Map(touched.map((one) => [keyOf(one), one]));
  return rows.flatMap((row) => {
    const one = byKey.get(naturalKey(row));
    return one ? [{ row, facts: mergeFacts(row, one.facts), events: one.events, isInserted: false }] : [];
  });
}

/** Events take the id of a stored copy that has another time. */
async function withStoredCopies(tx: Database, locked: readonly LockedActivity[]): Promise<LockedActivity[]> {
  const asked = locked.filter(({ events }) => events.some(({ detail }) => detail.feedback_id !== undefined));
  if (asked.length === 0) return [...locked];
  const stored = await feedbackOfActivities(
    tx,
    asked.map(({ row }) => row),
  );
  return locked.map((one) => ({ ...one, events: adoptStored(one.events, stored.get(one.row.id) ?? []) }));
}

/**
 * Activities whose id exists under another name: the person was erased after the activity was created, and a
 * pseudonym replaces the address.
 */
export function erasedAmong(
  touched: readonly TouchedActivity[],
  locked: readonly LockedActivity[],
): TouchedActivity[] {
  if (locked.length === touched.length) return [];
  const there = new Set(locked.map(({ row }) => naturalKey(row)));
  return touched.filter((one) => !there.has(keyOf(one)));
}

/** The events as they are expected to be; those of late activities are decided once their history is known. */
export function eventRows({ row, events, isLate, change }: ExpectedActivity): NewEvent[] {
  return events.map((event) => {
    const made = isLate ? undefined : change.decisions.find((one) => one.event.id === event.id);
    const owned = ownedBy(row, event);
    return made ? { ...decided(owned, made.decision), discarded: made.decision.discarded } : owned;
  });
}

function ownedBy(row: ActivityRow, event: EmailEvent): NewEvent {
  return { project_id: row.project_id, owner_id: row.id, ...event };
}

/** Folds activities again that have known events or need their history. */
export async function correct(
  tx: Database,
  expected: readonly ExpectedActivity[],
  added: ReadonlyMap<string, Date>,
  rulesOf: RulesOf,
): Promise<ChangedActivity[]> {
  const isRight = ({ isLate, events }: ExpectedActivity) =>
    !isLate && events.every(({ id }) => added.has(id));
  const right = expected
    .filter(isRight)
    .map((one) => ({ enriched: [], isCorrected: false, recordedAt: added, ...one }));
  if (right.length === expected.length) return right;
  const told = await enrichRepeats(
    tx,
    expected.filter((one) => !isRight(one)),
    added,
  );
  return [...right, ...(await foldAgain(tx, told, added, rulesOf))];
}

/** Separates new from known events, and adds to the details of known ones what this report adds. */
async function enrichRepeats(
  tx: Database,
  expected: readonly ExpectedActivity[],
  added: ReadonlyMap<string, Date>,
): Promise<SplitActivity[]> {
  const rows = expected.map((one) => ({ one, stored: eventRows(one) }));
  const repeats = rows.flatMap(({ stored }) => stored.filter(({ id }) => !added.has(id)));
  const known = repeats.length > 0 ? await detailsOf(tx, repeats) : new Map<string, EventDetail>();
  const told = rows.map(({ one, stored }) => ({
    ...one,
    events: stored.filter(({ id }) => added.has(id)),
    enriched: one.events.flatMap((event) => {
      const detail = known.get(event.id);
      const merged = detail && mergeDetails(detail, event.detail);
      return merged && merged !== detail ? [{ ...event, detail: merged }] : [];
    }),
  }));
  const enriched = told.flatMap(({ row, enriched }) => enriched.map((event) => ownedBy(row, event)));
  if (enriched.length > 0) await updateDetails(tx, enriched);
  return told;
}

async function foldAgain(
  tx: Database,
  told: readonly SplitActivity[],
  added: ReadonlyMap<string, Date>,
  rulesOf: RulesOf,
): Promise<ChangedActivity[]> {
  const late = told
    .filter(({ row, events, enriched }) => enriched.length > 0 || needsHistory(row, events))
    .map(({ row }) => row);
  const histories = late.length > 0 ? await eventsOfActivities(tx, late) : new Map<string, StoredEvent[]>();
  return told.map((one) => {
    const rules = rulesOf(one.row.project_id);
    const history = histories.get(one.row.id);
    const change = history
      ? refold(history, ({ id }) => added.has(id), rules, one.row)
      : addEvents(one.row, one.events, rules);
    return { ...one, isCorrected: true, change, recordedAt: history ? timesOf(history) : added };
  });
}

function timesOf(history: readonly StoredEvent[]): Map<string, Date> {
  return new Map(history.map(({ id, created_at }) => [id, created_at]));
}

/** The row as it will be. */
export function rowOf({ row, facts, change }: LockedActivity & { change: ActivityChange }): ActivityRow {
  return activityRow(row, facts, change.state);
}
