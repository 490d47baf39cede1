import type { Context } from "../src/context.ts";
import { nobody } from "../src/domain/erasure.ts";
import { type Interpretation, interpretNotification } from "../src/domain/interpret-notification.ts";
import type { MailFacts } from "../src/domain/mail-facts.ts";
import { naturalKey, type TouchedActivity, touchedActivities } from "../src/domain/touched-activity.ts";
import { wakeLanes } from "../src/endpoints/owe-deliveries.ts";
import { errorText } from "../src/logger.ts";
import { eraseFromNotifications } from "../src/people/erase-person.ts";
import type { ApplyJob, DeliverJob } from "../src/queue/jobs.ts";
import type { Database } from "../src/storage/database.ts";
import { isDataError, isRetryable, retryConflicts, sqlState } from "../src/storage/database-errors.ts";
import {
  type AcceptedNotification,
  type BatchSummary,
  loadBatches,
  markApplied,
  postponeBatch,
  quarantine,
  takeBatch,
  takeMoreBatches,
} from "../src/storage/journal.ts";
import { type Applied, applyActivities } from "./apply-activities.ts";

type BatchContext = Pick<Context, "db" | "partitions" | "config" | "clock" | "log" | "queues">;

/** Statements cost by their number rather than by their rows; more would hold locks for long. */
const notificationsTogether = 1_000;

/**
 * Applies the notifications of a batch, and of others that wait, all or nothing, and wakes the lanes of the
 * endpoints that are owed something. A failure is written to the batch, and the sweep tries again.
 */
export async function applyBatch(context: BatchContext, { batchId }: ApplyJob): Promise<void> {
  try {
    const owed = await retryConflicts(() => applyWithOthers(context, batchId));
    await wakeLanes(context, owed);
  } catch (error) {
    context.log.error({ batch_id: batchId, cause: errorText(error) }, "batch not applied");
    await postponeBatch(context.db, batchId, errorText(error));
  }
}

async function applyWithOthers(context: BatchContext, batchId: string): Promise<DeliverJob[]> {
  try {
    return await inOneTransaction(context, batchId, notificationsTogether, applyTogether);
  } catch (error) {
    if (isRetryable(error)) throw error;
    // Whichever batch it was: the others have jobs of their own, or the sweep wakes a worker for them.
    return applyAlone(context, batchId);
  }
}

async function applyAlone(context: BatchContext, batchId: string): Promise<DeliverJob[]> {
  try {
    return await inOneTransaction(context, batchId, 0, applyTogether);
  } catch (error) {
    if (!isDataError(error)) throw error;
    // One notification holds what the database refuses: find it, and let the others pass.
    return inOneTransaction(context, batchId, 0, applyOneByOne);
  }
}

type ApplyEntries = (
  context: BatchContext,
  tx: Database,
  entries: readonly AcceptedNotification[],
) => Promise<Applied & BatchSummary>;

/** @param maxNotifications up to which other batches that wait are taken along. */
async function inOneTransaction(
  context: BatchContext,
  batchId: string,
  maxNotifications: number,
  apply: ApplyEntries,
): Promise<DeliverJob[]> {
  return context.db.transaction(async (tx) => {
    const batch = await takeBatch(tx, batchId);
    if (batch === null) return [];
    const others = maxNotifications > 0 ? await takeMoreBatches(tx, batch, maxNotifications) : [];
    const batches = [batch, ...others];
    const { owed, ...summary } = await apply(context, tx, await loadBatches(tx, batches));
    const batchIds = batches.map(({ id }) => id);
    await markApplied(tx, batchIds, summary);
    context.log.debug({ batch_ids: batchIds, ...summary }, "batch applied");
    return owed;
  });
}

const nothing: Applied & BatchSummary = {
  events: 0,
  repeated: 0,
  discarded: 0,
  ignored: 0,
  quarantined: 0,
  owed: [],
  erased: [],
};

async function applyTogether(
  context: BatchContext,
  tx: Database,
  entries: readonly AcceptedNotification[],
): Promise<Applied & BatchSummary> {
  const read: ReadEntry[] = entries.map((entry) => ({
    entry,
    interpretation: interpretNotification(entry.project_id, entry.body, entry.sns_timestamp),
  }));
  const told = read.flatMap(({ entry, interpretation }) =>
    interpretation.kind === "events"
      ? interpretation.events.map((event) => ({ projectId: entry.project_id, ...event }))
      : [],
  );
  for (const { entry, interpretation } of read) {
    if (interpretation.kind === "invalid") await quarantine(tx, entry, interpretation.reason);
  }
  const countOf = (kind: Interpretation["kind"]) =>
    read.filter(({ interpretation }) => interpretation.kind === kind).length;
  const applied = await applyActivities(context, tx, touchedActivities(told));
  if (applied.erased.length > 0) await eraseLate(tx, read, applied.erased);
  return {
    ...applied,
    repeated: told.length - applied.events,
    ignored: countOf("ignored"),
    quarantined: countOf("invalid"),
  };
}

type ReadEntry = { entry: AcceptedNotification; interpretation: Interpretation };

/** Takes people out of those notifications that tell of emails which were erased, and out of no others. */
async function eraseLate(
  tx: Database,
  read: readonly ReadEntry[],
  erased: readonly TouchedActivity[],
): Promise<void> {
  const keyOf = (project_id: string, facts: MailFacts) => naturalKey({ project_id, ...facts });
  const erasedKeys = new Set(erased.map(({ projectId, facts }) => keyOf(projectId, facts)));
  const late = read.filter(
    ({ entry, interpretation }) =>
      interpretation.kind === "events" &&
      interpretation.events.some(({ facts }) => erasedKeys.has(keyOf(entry.project_id, facts))),
  );
  const people = erased.map(({ projectId, facts }) => ({
    project_id: projectId,
    address: facts.recipient,
    pseudonym: nobody,
  }));
  const entries = late.map(({ entry }) => entry);
  await eraseFromNotifications(tx, entries, people);
}

async function applyOneByOne(
  context: BatchContext,
  tx: Database,
  entries: readonly AcceptedNotification[],
): Promise<Applied & BatchSummary> {
  const sum = { ...nothing, owed: [...nothing.owed] };
  for (const entry of entries) {
    const one = await applyOrQuarantine(context, tx, entry);
    sum.events += one.events;
    sum.repeated += one.repeated;
    sum.discarded += one.discarded;
    sum.ignored += one.ignored;
    sum.quarantined += one.quarantined;
    sum.owed.push(...one.owed);
  }
  return sum;
}

async function applyOrQuarantine(
  context: BatchContext,
  tx: Database,
  entry: AcceptedNotification,
): Promise<Applied & BatchSummary> {
  try {
    return await tx.transaction((step) => applyTogether(context, step, [entry]));
  } catch (error) {
    if (!isDataError(error)) throw error;
    // The server's own message may quote the value.
    await quarantine(tx, entry, `The database cannot store it (SQLSTATE ${sqlState(error)})`);
    return { ...nothing, quarantined: 1 };
  }
}
