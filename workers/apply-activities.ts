import type { Context } from "../src/context.ts";
import { nothingKnown } from "../src/domain/activity.ts";
import { type ActivityChange, addEvents, needsHistory, refold } from "../src/domain/activity-change.ts";
import type { EmailEvent } from "../src/domain/email-event.ts";
import { groupBy } from "../src/domain/group-by.ts";
import { activityId, addsFacts, type MailFacts, mergeFacts } from "../src/domain/mail-facts.ts";
import { owedDeliveries } from "../src/domain/owed-delivery.ts";
import { naturalKey, type TouchedActivity } from "../src/domain/touched-activity.ts";
import type { DeliverJob } from "../src/queue/jobs.ts";
import { type ActivityRow, lockActivities, updateActivities } from "../src/storage/activity.ts";
import type { Database } from "../src/storage/database.ts";
import { insertDeliveries } from "../src/storage/deliveries.ts";
import { listEndpoints } from "../src/storage/endpoints.ts";
import { eventsOfActivities, insertEvents, type StoredEvent, updateDiscards } from "../src/storage/events.ts";
import { openWindows } from "../src/storage/projects.ts";

export type Applied = {
  /** Events that were new. */
  events: number;
  discarded: number;
  /** Endpoints that are owed something. */
  owed: DeliverJob[];
};

type ApplyContext = Pick<Context, "partitions" | "config" | "clock">;

/** An activity under lock, and what a batch adds to it. */
type Locked = { row: ActivityRow; facts: MailFacts; events: EmailEvent[] };
type Changed = Locked & { change: ActivityChange };

/** Folds events into their activities and writes all that follows from them. */
export async function applyActivities(
  context: ApplyContext,
  tx: Database,
  touched: readonly TouchedActivity[],
): Promise<Applied> {
  if (touched.length === 0) return { events: 0, discarded: 0, owed: [] };
  await context.partitions.ensure(
    "events",
    touched.flatMap(({ events }) => events.map((event) => event.occurred_at)),
  );
  const locked = pair(await lockActivities(tx, touched.map(firstRow)), touched);
  const newIds = await insertEvents(tx, locked.flatMap(eventRows));
  const told = locked.map((one) => ({ ...one, events: one.events.filter(({ id }) => newIds.has(id)) }));
  const changed = await foldAll(context, tx, told, newIds);
  await writeRows(tx, changed);
  const decisions = await writeDecisions(tx, changed);
  const owed = await writeDeliveries(context, tx, changed);
  return { events: newIds.size, discarded: decisions, owed };
}

function firstRow({ projectId, facts }: TouchedActivity): ActivityRow {
  return { project_id: projectId, id: activityId(projectId, facts), ...facts, ...nothingKnown };
}

function pair(rows: readonly ActivityRow[], touched: readonly TouchedActivity[]): Locked[] {
  const byKey = new Map(touched.map((one) => [naturalKey({ project_id: one.projectId, ...one.facts }), one]));
  return rows.flatMap((row) => {
    const one = byKey.get(naturalKey(row));
    return one ? [{ row, facts: one.facts, events: one.events }] : [];
  });
}

function eventRows({ row, events }: Locked) {
  return events.map((event) => ({ ...event, project_id: row.project_id, activity_id: row.id }));
}

async function foldAll(
  { config }: ApplyContext,
  tx: Database,
  told: readonly Locked[],
  newIds: ReadonlySet<string>,
): Promise<Changed[]> {
  const late = told.filter(({ row, events }) => needsHistory(row, events)).map(({ row }) => row);
  const histories = late.length > 0 ? await eventsOfActivities(tx, late) : new Map<string, StoredEvent[]>();
  const windows = await openWindows(tx);
  return told.map((one) => {
    const rules = { openWindowSeconds: windows.get(one.row.project_id) ?? config.openWindowSeconds };
    const history = histories.get(one.row.id);
    const change = history
      ? refold(history, ({ id }) => newIds.has(id), rules)
      : addEvents(one.row, one.events, rules);
    return { ...one, change };
  });
}

async function writeRows(tx: Database, changed: readonly Changed[]): Promise<void> {
  const rows = changed
    .filter(({ row, facts, events }) => events.length > 0 || addsFacts(row, facts))
    .map(({ row, facts, change }) => ({ ...row, ...change.state, ...mergeFacts(row, facts) }));
  if (rows.length > 0) await updateActivities(tx, rows);
}

/** @returns how many events were discarded now. */
async function writeDecisions(tx: Database, changed: readonly Changed[]): Promise<number> {
  const decisions = changed.flatMap(({ row, change }) =>
    change.decisions.map(({ event, discard }) => ({
      project_id: row.project_id,
      activity_id: row.id,
      occurred_at: event.occurred_at,
      id: event.id,
      discarded: discard?.reason ?? null,
      kept: discard?.kept ?? null,
    })),
  );
  if (decisions.length > 0) await updateDiscards(tx, decisions);
  return decisions.filter(({ discarded }) => discarded !== null).length;
}

async function writeDeliveries(
  { clock }: ApplyContext,
  tx: Database,
  changed: readonly Changed[],
): Promise<DeliverJob[]> {
  const endpoints = groupBy(await listEndpoints(tx), ({ project_id }) => project_id);
  const recordedAt = clock.now();
  const deliveries = changed.flatMap(({ row, facts, change }) => {
    const activity = { ...row, ...mergeFacts(row, facts) };
    const subscribers = endpoints.get(row.project_id) ?? [];
    return change.counted.flatMap((event) =>
      owedDeliveries(row.project_id, activity, event, subscribers, recordedAt).map((owed) => ({
        project_id: row.project_id,
        ...owed,
      })),
    );
  });
  if (deliveries.length > 0) await insertDeliveries(tx, deliveries);
  const pending = deliveries.filter(({ state }) => state === "pending");
  return [...new Map(pending.map((owed) => [owed.endpoint_id, wakeUp(owed)])).values()];
}

function wakeUp({ project_id, endpoint_id }: { project_id: string; endpoint_id: string }): DeliverJob {
  return { projectId: project_id, endpointId: endpoint_id };
}
