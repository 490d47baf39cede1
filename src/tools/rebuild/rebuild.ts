import { pause } from "../../clock.ts";
import type { StoreContext } from "../../context.ts";
import { packageVersion } from "../../package-info.ts";
import { countOpenErasures } from "../../storage/journal-walk.ts";
import { compareActivitiesStep, type DifferingActivity } from "./compare-activities.ts";
import { readJournalStep } from "./read-journal.ts";
import {
  endRebuilds,
  findInterrupted,
  type Rebuild,
  type RebuildScope,
  startRebuild,
} from "./rebuilds.sql.ts";

export type { Rebuild } from "./rebuilds.sql.ts";

/** Small enough that a worker waiting for a lock does not notice. */
const itemsPerStep = { notifications: 500, activities: 100 };

export type RebuildOptions = {
  /** null: all projects. */
  projectId: string | null;
  /** null: the whole journal, and activities older than it. */
  since: Date | null;
  isDryRun: boolean;
  /** Notifications read, then activities compared, per second at most; 0: no limit. */
  perSecond: number;
  stop: AbortSignal;
};

export type RebuildObserver = {
  onChange(changed: DifferingActivity): void;
  onStep(rebuild: Rebuild): void;
};

/**
 * Continues an interrupted rebuild of this scope, or starts one.
 * @throws while the journal still contains people who are being erased: they would reappear.
 */
export async function openRebuild(
  { db, clock }: StoreContext,
  { projectId, since, isDryRun }: RebuildOptions,
  isRestart: boolean,
): Promise<Rebuild> {
  const scope: RebuildScope = { project_id: projectId, since, dry_run: isDryRun, version: packageVersion };
  const erasures = await countOpenErasures(db, projectId);
  if (erasures > 0) {
    throw new Error(
      `${erasures} erased people are still being taken out of the journal; a worker does it, try again when it is done`,
    );
  }
  await endRebuilds(db, null);
  const interrupted = await findInterrupted(db, scope);
  if (interrupted && !isRestart) return interrupted;
  if (interrupted) await endRebuilds(db, interrupted.id);
  return startRebuild(db, clock.newId(), scope);
}

/**
 * Recomputes activities from the journal, step by step, each in a transaction that also records the progress. No
 * webhooks are sent for changes, and suppressions stay as they are.
 * @returns the finished rebuild, or the rebuild at the time when `stop` interrupts it.
 */
export async function runRebuild(
  context: StoreContext,
  opened: Rebuild,
  { perSecond, stop }: RebuildOptions,
  { onChange, onStep }: RebuildObserver,
): Promise<Rebuild> {
  let rebuild = opened;
  while (rebuild.phase !== "finished" && !stop.aborted) {
    const startedMs = performance.now();
    const before = rebuild;
    if (rebuild.phase === "reading") {
      rebuild = await readJournalStep(context.db, rebuild, itemsPerStep.notifications);
    } else {
      const compared = await compareActivitiesStep(context, rebuild, itemsPerStep.activities);
      rebuild = compared.rebuild;
      for (const changed of compared.changed) onChange(changed);
    }
    onStep(rebuild);
    const dueMs = perSecond > 0 ? (itemsBetween(before, rebuild) / perSecond) * 1000 : 0;
    await pause(Math.max(0, dueMs - (performance.now() - startedMs)), stop);
  }
  if (rebuild.phase === "finished") await endRebuilds(context.db, rebuild.id);
  return rebuild;
}

function itemsBetween(before: Rebuild, after: Rebuild): number {
  return after.notification_count - before.notification_count + after.activity_count - before.activity_count;
}
