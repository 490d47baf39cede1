import type { Context } from "../src/context.ts";
import { type Interpretation, interpretNotification } from "../src/domain/interpret-notification.ts";
import { touchedActivities } from "../src/domain/touched-activity.ts";
import { errorText } from "../src/logger.ts";
import type { ApplyJob, DeliverJob } from "../src/queue/jobs.ts";
import type { Database } from "../src/storage/database.ts";
import { isDataError, isRetryable, sqlState } from "../src/storage/database-errors.ts";
import {
  type AcceptedNotification,
  type BatchSummary,
  loadBatch,
  markApplied,
  postponeBatch,
  quarantine,
  takeBatch,
} from "../src/storage/journal.ts";
import { type Applied, applyActivities } from "./apply-activities.ts";

type BatchContext = Pick<Context, "db" | "partitions" | "config" | "clock" | "log" | "queues">;

/** What two workers that lock the same rows may cost each other; beyond it the batch is put off. */
const maxImmediateRetries = 5;

/**
 * Applies the notifications of a batch, all or nothing, and wakes the lanes of the endpoints that are owed
 * something. A failure is written to the batch, and the sweep tries again.
 */
export async function applyBatch(context: BatchContext, { batchId }: ApplyJob): Promise<void> {
  try {
    const owed = await retryConflicts(() => applyOnce(context, batchId));
    if (owed.length > 0) await context.queues.wakeDeliver(owed);
  } catch (error) {
    context.log.error({ batch_id: batchId, cause: errorText(error) }, "batch not applied");
    await postponeBatch(context.db, batchId, errorText(error));
  }
}

async function retryConflicts<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let retry = 0; ; retry++) {
    try {
      return await work();
    } catch (error) {
      if (!isRetryable(error) || retry === maxImmediateRetries) throw error;
    }
  }
}

async function applyOnce(context: BatchContext, batchId: string): Promise<DeliverJob[]> {
  try {
    return await inOneTransaction(context, batchId, applyTogether);
  } catch (error) {
    if (!isDataError(error)) throw error;
    // One notification holds what the database refuses: find it, and let the others pass.
    return inOneTransaction(context, batchId, applyOneByOne);
  }
}

type ApplyEntries = (
  context: BatchContext,
  tx: Database,
  entries: readonly AcceptedNotification[],
) => Promise<Applied & BatchSummary>;

async function inOneTransaction(
  context: BatchContext,
  batchId: string,
  apply: ApplyEntries,
): Promise<DeliverJob[]> {
  return context.db.transaction(async (tx) => {
    const batch = await takeBatch(tx, batchId);
    if (batch === null) return [];
    const { owed, ...summary } = await apply(context, tx, await loadBatch(tx, batch));
    await markApplied(tx, batchId, summary);
    context.log.debug({ batch_id: batchId, ...summary }, "batch applied");
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
};

async function applyTogether(
  context: BatchContext,
  tx: Database,
  entries: readonly AcceptedNotification[],
): Promise<Applied & BatchSummary> {
  const read = entries.map((entry) => ({ entry, interpretation: interpret(entry) }));
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
  return {
    ...applied,
    repeated: told.length - applied.events,
    ignored: countOf("ignored"),
    quarantined: countOf("invalid"),
  };
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

function interpret(entry: AcceptedNotification): Interpretation {
  try {
    return interpretNotification(entry.project_id, entry.body, entry.sns_timestamp);
  } catch (error) {
    return { kind: "invalid", reason: `It cannot be interpreted: ${errorText(error)}` };
  }
}
