import type { Context } from "../src/context.ts";
import { emptyActivity } from "../src/domain/mail/activity.ts";
import {
  addEvents,
  naturalKey,
  needsHistory,
  refold,
  type TouchedActivity,
} from "../src/domain/mail/activity-change.ts";
import type { DiscardReason } from "../src/domain/mail/decision.ts";
import type { EmailEvent } from "../src/domain/mail/email-event.ts";
import { mergeDetails } from "../src/domain/mail/event-detail.ts";
import type { EmailEventType } from "../src/domain/mail/event-names.ts";
import { activityId, addsFacts, mergeFacts } from "../src/domain/mail/mail-facts.ts";
import { adoptStored } from "../src/domain/mail/same-feedback.ts";
import { emailWebhook, suppressionWebhook } from "../src/domain/webhooks/event.ts";
import { type ActivityRow, lockActivities, updateActivities } from "../src/storage/activity.ts";
import type { Database } from "../src/storage/database.ts";
import {
  detailsOf,
  eventsOfActivities,
  feedbackOfActivities,
  insertEvents,
  type StoredEvent,
  updateDecisions,
  updateDetails,
} from "../src/storage/events.ts";
import { projectRules } from "../src/storage/projects.ts";
import { makeRecipients } from "../src/storage/recipients.ts";
import type { OwedWebhook } from "../src/webhooks/owe-deliveries.ts";
import {
  type ChangedActivity,
  type LockedActivity,
  type SplitActivity,
  type SuppressionAdded,
  suppressRecipients,
} from "./suppress-recipients.ts";

export type Applied = {
  /** New events. */
  events: number;
  discarded: number;
  /** The types of events that count now and did not before. */
  counted: EmailEventType[];
  /** The reason of each event that was discarded. */
  discardedFor: DiscardReason[];
  webhooks: EventWebhook[];
  /** Activities of erased people, which are not recorded. */
  erased: TouchedActivity[];
};

/** @property eventId the event behind it. */
export type EventWebhook = OwedWebhook & { eventId: string };

type ApplyContext = Pick<Context, "partitions" | "config" | "clock">;

export const nothingApplied: Applied = {
  events: 0,
  discarded: 0,
  counted: [],
  discardedFor: [],
  webhooks: [],
  erased: [],
};

/** Folds events into their activities, and writes all consequences but webhooks, which it returns. */
export async function applyActivities(
  context: ApplyContext,
  tx: Database,
  touched: readonly TouchedActivity[],
): Promise<Applied> {
  if (touched.length === 0) return nothingApplied;
  await context.partitions.ensure(
    "events",
    touched.flatMap(({ events }) => events.map((event) => event.occurred_at)),
  );
  const paired = pair(await lockActivities(tx, touched.map(firstRow)), touched);
  const locked = await withStoredCopies(tx, paired);
  await recordRecipients(context, tx, locked);
  const added = await insertEvents(tx, locked.flatMap(eventRows));
  const enriched = await enrichRepeats(tx, locked, added);
  const changed = await foldAll(context, tx, enriched, added);
  await writeRows(tx, changed);
  const discardedFor = await writeDecisions(tx, changed);
  const suppressions = await suppressRecipients(tx, changed);
  return {
    events: added.size,
    discarded: discardedFor.length,
    counted: changed.flatMap(({ change }) => change.counted.map(({ type }) => type)),
    discardedFor,
    webhooks: webhooksOf(changed, suppressions, context.clock.now()),
    erased: erasedAmong(touched, locked),
  };
}

/** Everyone who is sent an email is a recipient. Only new activities need the check. */
async function recordRecipients(
  { clock }: ApplyContext,
  tx: Database,
  locked: readonly LockedActivity[],
): Promise<void> {
  const recipients = locked
    .filter(({ row }) => row.current_status === emptyActivity.current_status)
    .map(({ row }) => ({ project_id: row.project_id, id: clock.newId(), address: row.recipient }));
  if (recipients.length > 0) await makeRecipients(tx, recipients);
}

function firstRow({ projectId, facts }: TouchedActivity): ActivityRow {
  return { project_id: projectId, id: activityId(projectId, facts), ...facts, ...emptyActivity };
}

function pair(rows: readonly ActivityRow[], touched: readonly TouchedActivity[]): LockedActivity[] {
  const byKey = new Map(touched.map((one) => [naturalKey({ project_id: one.projectId, ...one.facts }), one]));
  return rows.flatMap((row) => {
    const one = byKey.get(naturalKey(row));
    return one ? [{ row, facts: mergeFacts(row, one.facts), events: one.events }] : [];
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
function erasedAmong(
  touched: readonly TouchedActivity[],
  locked: readonly LockedActivity[],
): TouchedActivity[] {
  if (locked.length === touched.length) return [];
  const there = new Set(locked.map(({ row }) => naturalKey(row)));
  return touched.filter((one) => !there.has(naturalKey({ project_id: one.projectId, ...one.facts })));
}

function eventRows({ row, events }: { row: ActivityRow; events: readonly EmailEvent[] }) {
  return events.map((event) => ({ ...event, project_id: row.project_id, owner_id: row.id }));
}

/** Separates new from known events, and adds to the details of known ones what this report adds. */
async function enrichRepeats(
  tx: Database,
  locked: readonly LockedActivity[],
  added: ReadonlyMap<string, Date>,
): Promise<SplitActivity[]> {
  const repeats = locked.flatMap(eventRows).filter(({ id }) => !added.has(id));
  const known = repeats.length > 0 ? await detailsOf(tx, repeats) : new Map<string, EmailEvent["detail"]>();
  const told = locked.map(({ events, ...one }) => ({
    ...one,
    events: events.filter(({ id }) => added.has(id)),
    enriched: events.flatMap((event) => {
      const detail = known.get(event.id);
      const merged = detail && mergeDetails(detail, event.detail);
      return merged && merged !== detail ? [{ ...event, detail: merged }] : [];
    }),
  }));
  const enriched = told.flatMap((one) => eventRows({ row: one.row, events: one.enriched }));
  if (enriched.length > 0) await updateDetails(tx, enriched);
  return told;
}

async function foldAll(
  { config }: ApplyContext,
  tx: Database,
  told: readonly SplitActivity[],
  added: ReadonlyMap<string, Date>,
): Promise<ChangedActivity[]> {
  const late = told
    .filter(({ row, events, enriched }) => enriched.length > 0 || needsHistory(row, events))
    .map(({ row }) => row);
  const histories = late.length > 0 ? await eventsOfActivities(tx, late) : new Map<string, StoredEvent[]>();
  const projectIds = [...new Set(told.map(({ row }) => row.project_id))];
  const rulesOf = await projectRules(tx, projectIds, config.openWindowSeconds);
  return told.map((one) => {
    const rules = rulesOf.get(one.row.project_id);
    if (rules === undefined) throw new Error(`There is no project ${one.row.project_id}`);
    const history = histories.get(one.row.id);
    const change = history
      ? refold(history, ({ id }) => added.has(id), rules, one.row)
      : addEvents(one.row, one.events, rules);
    return { ...one, change, recordedAt: history ? timesOf(history) : added };
  });
}

function timesOf(history: readonly StoredEvent[]): Map<string, Date> {
  return new Map(history.map(({ id, created_at }) => [id, created_at]));
}

async function writeRows(tx: Database, changed: readonly ChangedActivity[]): Promise<void> {
  const rows = changed
    .filter(
      ({ row, facts, events, enriched }) => events.length + enriched.length > 0 || addsFacts(row, facts),
    )
    .map(({ row, facts, change }) => ({ ...row, ...change.state, ...facts }));
  if (rows.length > 0) await updateActivities(tx, rows);
}

/** @returns the reason of each newly discarded event. */
async function writeDecisions(tx: Database, changed: readonly ChangedActivity[]): Promise<DiscardReason[]> {
  const decisions = changed.flatMap(({ row, change }) =>
    change.decisions.map(({ event, decision }) => ({
      project_id: row.project_id,
      owner_id: row.id,
      occurred_at: event.occurred_at,
      id: event.id,
      ...decision,
    })),
  );
  if (decisions.length > 0) await updateDecisions(tx, decisions);
  return decisions.flatMap(({ discarded }) => discarded ?? []);
}

function webhooksOf(
  changed: readonly ChangedActivity[],
  suppressions: readonly SuppressionAdded[],
  now: Date,
): EventWebhook[] {
  const ofEvents = changed.flatMap(({ row, facts, change, recordedAt }) =>
    change.counted.map((event) => ({
      project_id: row.project_id,
      eventId: event.id,
      webhook: emailWebhook({ ...row, ...facts }, event, recordedAt.get(event.id) ?? now),
    })),
  );
  const ofSuppressions = suppressions
    // An echo is a suppression that SES knew before.
    .filter(({ suppression }) => !suppression.isEcho)
    .map(({ row, event, suppression }) => ({
      project_id: row.project_id,
      eventId: event.id,
      webhook: suppressionWebhook(row, event, suppression, now),
    }));
  return [...ofEvents, ...ofSuppressions];
}
