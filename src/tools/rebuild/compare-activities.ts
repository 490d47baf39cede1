import type { StoreContext } from "../../context.ts";
import { emptyActivity } from "../../domain/mail/activity.ts";
import { naturalKey, type TouchedActivity, touchedActivities } from "../../domain/mail/activity-change.ts";
import { interpretNotification } from "../../domain/mail/interpret-notification.ts";
import { activityId } from "../../domain/mail/mail-facts.ts";
import {
  type ActivityName,
  type ActivityRow,
  findActivities,
  insertActivities,
  lockActivities,
  lockInserted,
  updateActivities,
} from "../../storage/activity.ts";
import type { Database } from "../../storage/database.ts";
import {
  deleteEvents,
  eventsOfActivities,
  insertEvents,
  updateDecisions,
  updateDetails,
} from "../../storage/events.ts";
import { droppedBefore } from "../../storage/journal-walk.ts";
import { journalDays } from "../../storage/partitions.ts";
import { projectRules } from "../../storage/projects.ts";
import {
  type JournalActivity,
  type JournalReach,
  type RebuiltActivity,
  rebuildActivity,
} from "./activity-difference.ts";
import {
  activitiesAfter,
  notificationsOf,
  type Rebuild,
  recordStep,
  type SourceNotification,
  waitingBatches,
} from "./rebuilds.sql.ts";

/** An activity that differs from its rebuilt state. */
export type DifferingActivity = {
  key: { project_id: string; id: string };
  name: ActivityName;
  rebuilt: RebuiltActivity;
};

type CompareContext = Pick<StoreContext, "db" | "config" | "partitions">;
export type Compared = { rebuild: Rebuild; changed: DifferingActivity[] };

/**
 * One step of the second phase: rebuilds the next activities, and writes those that differ unless it is a dry run.
 * Workers may apply new batches meanwhile: both lock the rows that they write, and events that only waiting batches
 * contain are left to workers.
 */
export async function compareActivitiesStep(
  context: CompareContext,
  rebuild: Rebuild,
  limit: number,
): Promise<Compared> {
  const names = await activitiesAfter(context.db, rebuild, placeOf(rebuild), limit);
  const place = names.at(-1);
  if (place === undefined) {
    return { rebuild: await recordStep(context.db, rebuild, { ...rebuild, phase: "finished" }), changed: [] };
  }
  const sources = await notificationsOf(context.db, rebuild.id, names);
  await ensurePartitions(context, sources);
  const step = (changed: number): Rebuild => ({
    ...rebuild,
    place,
    activity_count: rebuild.activity_count + names.length,
    change_count: rebuild.change_count + changed,
  });
  if (rebuild.dry_run) {
    const changed = await context.db.transaction(async (tx) => {
      // A consistent view of rows, events and batches, without locks that workers would wait for.
      await tx.query("set transaction isolation level repeatable read read only");
      return compare(context, tx, rebuild, names, sources);
    });
    return { rebuild: await recordStep(context.db, rebuild, step(changed.length)), changed };
  }
  return context.db.transaction(async (tx) => {
    const changed = await compare(context, tx, rebuild, names, sources);
    await write(tx, changed);
    return { rebuild: await recordStep(tx, rebuild, step(changed.length)), changed };
  });
}

function placeOf({ place }: Rebuild): ActivityName | null {
  // Only written by recordStep above.
  return place as ActivityName | null;
}

async function ensurePartitions(
  { partitions }: CompareContext,
  sources: readonly SourceNotification[],
): Promise<void> {
  const times = touched(sources).flatMap(({ events }) => events.map(({ occurred_at }) => occurred_at));
  await partitions.ensure("events", times);
}

async function compare(
  { config }: CompareContext,
  tx: Database,
  rebuild: Rebuild,
  names: readonly ActivityName[],
  sources: readonly SourceNotification[],
): Promise<DifferingActivity[]> {
  const rows = await rowsOf(tx, rebuild, names, sources);
  const events = await eventsOfActivities(tx, rows);
  // Read after the rows are locked: a batch that waits now cannot have been applied to them.
  const waiting = await waitingBatches(
    tx,
    sources.map(({ batch_id }) => batch_id),
  );
  const told = toldOf(sources, waiting);
  const projectIds = [...new Set(names.map(({ project_id }) => project_id))];
  const rules = await projectRules(tx, projectIds, config.openWindowSeconds);
  const reach = await reachOf(tx, rebuild);
  const byName = new Map(rows.map((row) => [naturalKey(row), row]));
  return names.flatMap((name) => {
    const row = byName.get(naturalKey(name));
    const ruled = rules.get(name.project_id);
    const ofJournal = told.get(naturalKey(name)) ?? {
      facts: null,
      events: [],
      waitingIds: new Set<string>(),
    };
    const stored = row ? { row, events: events.get(row.id) ?? [] } : null;
    const rebuilt = ruled ? rebuildActivity(stored, ofJournal, ruled, reach) : null;
    if (rebuilt === null || rebuilt.differences.length === 0) return [];
    // A missing row was inserted above, unless its id belongs to an erased email.
    if (row === undefined && !rebuild.dry_run) return [];
    const key = { project_id: name.project_id, id: row?.id ?? activityId(name.project_id, rebuilt.row) };
    return [{ key, name, rebuilt }];
  });
}

async function reachOf(tx: Database, { since, started_at }: Rebuild): Promise<JournalReach> {
  const dropped = await droppedBefore(tx);
  // Notifications from before `since` have not been read.
  const isSinceLater = since !== null && (dropped === null || since > dropped);
  return {
    days: new Set(await journalDays(tx)),
    droppedBefore: isSinceLater ? since : dropped,
    readAt: started_at,
  };
}

/** The stored rows, locked unless it is a dry run; missing ones are inserted. */
async function rowsOf(
  tx: Database,
  { dry_run }: Rebuild,
  names: readonly ActivityName[],
  sources: readonly SourceNotification[],
): Promise<ActivityRow[]> {
  if (dry_run) return findActivities(tx, names);
  const found = await lockActivities(tx, names);
  const waiting = await waitingBatches(
    tx,
    sources.map(({ batch_id }) => batch_id),
  );
  const there = new Set(found.map(naturalKey));
  const asked = new Set(names.map(naturalKey));
  const missing = touched(sources.filter(({ batch_id }) => !waiting.has(batch_id)))
    .map(({ projectId, facts }) => ({ project_id: projectId, id: activityId(projectId, facts), ...facts }))
    .filter((row) => asked.has(naturalKey(row)) && !there.has(naturalKey(row)))
    .map((row) => ({ ...row, ...emptyActivity }));
  const insertedIds = await insertActivities(tx, missing);
  const others = missing.filter(({ id }) => !insertedIds.has(id));
  const inserted = missing.filter(({ id }) => insertedIds.has(id));
  return [...found, ...inserted, ...(await lockInserted(tx, others))];
}

/** The journal's content, by the natural key of the activity. */
function toldOf(
  sources: readonly SourceNotification[],
  waiting: ReadonlySet<string>,
): Map<string, JournalActivity> {
  const applied = touched(sources.filter(({ batch_id }) => !waiting.has(batch_id)));
  const told = new Map<string, JournalActivity>(
    applied.map((one) => [keyOf(one), { facts: one.facts, events: one.events, waitingIds: new Set() }]),
  );
  for (const one of touched(sources.filter(({ batch_id }) => waiting.has(batch_id)))) {
    const sure = told.get(keyOf(one)) ?? { facts: null, events: [] };
    told.set(keyOf(one), { ...sure, waitingIds: new Set(one.events.map(({ id }) => id)) });
  }
  return told;
}

function keyOf({ projectId, facts }: TouchedActivity): string {
  return naturalKey({ project_id: projectId, ...facts });
}

function touched(sources: readonly SourceNotification[]): TouchedActivity[] {
  return touchedActivities(
    sources.flatMap(({ project_id, body, sns_timestamp }) => {
      const read = interpretNotification(project_id, body, sns_timestamp);
      return read.kind === "events" ? read.events.map((event) => ({ projectId: project_id, ...event })) : [];
    }),
  );
}

async function write(tx: Database, changed: readonly DifferingActivity[]): Promise<void> {
  const rowOf = ({ key, rebuilt }: DifferingActivity) => ({ ...rebuilt.row, ...key });
  const eventsOf = (kind: "missing" | "stale" | "corrected") =>
    changed.flatMap(({ key, rebuilt }) => rebuilt[kind].map((event) => ({ ...event, ...ownedBy(key) })));
  const decisions = changed.flatMap(({ key, rebuilt }) =>
    rebuilt.change.decisions.map(({ event, decision }) => ({
      ...{ id: event.id, occurred_at: event.occurred_at },
      ...ownedBy(key),
      ...decision,
    })),
  );
  if (changed.length === 0) return;
  await updateActivities(tx, changed.map(rowOf));
  await insertEvents(tx, eventsOf("missing"));
  await deleteEvents(tx, eventsOf("stale"));
  await updateDetails(tx, eventsOf("corrected"));
  await updateDecisions(tx, decisions);
}

function ownedBy({ project_id, id }: DifferingActivity["key"]) {
  return { project_id, owner_id: id };
}
