import type { Context } from "../src/context.ts";
import { erasedAddress } from "../src/domain/erasure.ts";
import { naturalKey, type TouchedActivity, touchedActivities } from "../src/domain/mail/activity-change.ts";
import { type Interpretation, interpretNotification } from "../src/domain/mail/interpret-notification.ts";
import type { MailFacts } from "../src/domain/mail/mail-facts.ts";
import { accountStatusWebhook } from "../src/domain/webhooks/event.ts";
import type { Lane } from "../src/domain/webhooks/owed.ts";
import { eraseFromNotifications } from "../src/erasure/erase-person.ts";
import { errorText } from "../src/logger.ts";
import type { ApplyJob } from "../src/queue/jobs.ts";
import { insertStatuses, type StatusRow } from "../src/storage/account-statuses.ts";
import type { Database } from "../src/storage/database.ts";
import {
  isDataError,
  isRetryable,
  isUnavailable,
  retryConflicts,
  sqlState,
} from "../src/storage/database-errors.ts";
import {
  type AcceptedNotification,
  type BatchSummary,
  loadBatches,
  markApplied,
  quarantine,
  takeBatch,
  takeMoreBatches,
} from "../src/storage/journal.ts";
import { postponeBatch, retrySoon } from "../src/storage/waiting-batches.ts";
import type { AppliedNotification } from "../src/tracing/tracing.ts";
import { oweDeliveries, wakeLanes } from "../src/webhooks/owe-deliveries.ts";
import { type Applied, applyActivities, nothingApplied } from "./apply-activities.ts";
import { appliedNotifications, type ReadEntry, tracedWebhooks } from "./traced-notifications.ts";

export type BatchContext = Pick<
  Context,
  "db" | "partitions" | "config" | "clock" | "log" | "queues" | "metrics" | "tracing"
>;

/** The cost is per statement rather than per row; more notifications would hold locks for long. */
const notificationsTogether = 1_000;

/**
 * What follows: `more` than one transaction takes may be waiting; `no more` than that is; or the database is
 * `unavailable`, and nothing can be applied now.
 */
type AfterBatch = "more" | "no more" | "unavailable";

/**
 * Applies the notifications of a batch and of other waiting batches, all or nothing, and wakes the lanes with new
 * deliveries. A failure is recorded with the batch, and the sweep tries again; that the database was away is no failure
 * of the batch, and delays it no further.
 */
export async function applyBatch(context: BatchContext, { batchId }: ApplyJob): Promise<AfterBatch> {
  const startedAt = new Date();
  try {
    const committed = await retryConflicts(() => applyWithOthers(context, batchId));
    if (committed === null) return "no more";
    report(context, committed);
    await wakeLanes(context, committed.applied.owed);
    return committed.isFull ? "more" : "no more";
  } catch (error) {
    context.metrics.countBatchFailed();
    context.tracing.notApplied(startedAt, batchId);
    context.log.error({ batch_id: batchId, cause: errorText(error) }, "batch not applied");
    if (isUnavailable(error)) {
      await retrySoon(context.db, batchId, errorText(error));
      return "unavailable";
    }
    await postponeBatch(context.db, batchId, errorText(error));
    return "no more";
  }
}

/** A committed transaction. */
type Committed = {
  applied: AppliedEntries;
  batchIds: string[];
  /** Whether it took about as much as a transaction takes. */
  isFull: boolean;
  /** How long each batch has been waiting. */
  lagSeconds: number[];
  startedAt: Date;
  seconds: number;
};

/** Reports a transaction after its commit. */
function report({ log, metrics, tracing }: BatchContext, committed: Committed): void {
  const { applied, batchIds, startedAt, seconds, lagSeconds } = committed;
  const { events, repeated, discarded, ignored, quarantined, unreadable } = applied;
  const counts = { events, repeated, discarded, ignored, quarantined, unreadable };
  log.debug({ batch_ids: batchIds, ...counts }, "batch applied");
  metrics.observeApplied(applied, seconds, lagSeconds);
  tracing.applied(startedAt, batchIds, applied.notifications);
}

async function applyWithOthers(context: BatchContext, batchId: string): Promise<Committed | null> {
  try {
    return await inOneTransaction(context, batchId, notificationsTogether, applyTogether);
  } catch (error) {
    if (isRetryable(error)) throw error;
    // Any of the batches may have failed; the others have jobs of their own, or the sweep wakes a worker for them.
    return applyAlone(context, batchId);
  }
}

async function applyAlone(context: BatchContext, batchId: string): Promise<Committed | null> {
  try {
    return await inOneTransaction(context, batchId, 0, applyTogether);
  } catch (error) {
    if (!isDataError(error)) throw error;
    // The database refuses one notification: find it, and apply the others.
    return inOneTransaction(context, batchId, 0, applyOneByOne);
  }
}

/**
 * @property owed lanes with new deliveries.
 * @property unreadable number of list entries that were left out.
 * @property notifications for traces; none without tracing.
 */
type AppliedEntries = Omit<Applied, "webhooks"> &
  BatchSummary & { owed: Lane[]; unreadable: number; notifications: AppliedNotification[] };

type ApplyEntries = (
  context: BatchContext,
  tx: Database,
  entries: readonly AcceptedNotification[],
) => Promise<AppliedEntries>;

/** @param maxNotifications limit up to which other waiting batches are taken too. */
async function inOneTransaction(
  context: BatchContext,
  batchId: string,
  maxNotifications: number,
  apply: ApplyEntries,
): Promise<Committed | null> {
  const startedAt = new Date();
  const startedMs = performance.now();
  const written = await context.db.transaction(async (tx) => {
    const batch = await takeBatch(tx, batchId);
    if (batch === null) return null;
    const others = maxNotifications > 0 ? await takeMoreBatches(tx, batch, maxNotifications) : [];
    const batches = [batch, ...others];
    const applied = await apply(context, tx, await loadBatches(tx, batches));
    const batchIds = batches.map(({ id }) => id);
    const count = batches.reduce((sum, { notification_count }) => sum + notification_count, 0);
    const isFull = count > notificationsTogether / 2;
    return { applied, batchIds, isFull, lagSeconds: await markApplied(tx, batchIds, applied) };
  });
  return written && { ...written, startedAt, seconds: (performance.now() - startedMs) / 1000 };
}

async function applyTogether(
  context: BatchContext,
  tx: Database,
  entries: readonly AcceptedNotification[],
): Promise<AppliedEntries> {
  const { tracing } = context;
  const read: ReadEntry[] = entries.map((entry) => ({
    entry,
    interpretation: interpretNotification(entry.project_id, entry.body, entry.sns_timestamp),
  }));
  const told = read.flatMap(({ entry, interpretation }) =>
    interpretation.kind === "events"
      ? interpretation.events.map(({ facts, event }) => ({ projectId: entry.project_id, facts, event }))
      : [],
  );
  const statuses = read.flatMap(({ entry: { project_id }, interpretation }) =>
    interpretation.kind === "account_status" ? [{ project_id, ...interpretation.status }] : [],
  );
  const invalid = read.flatMap(({ entry, interpretation }) =>
    interpretation.kind === "invalid" ? [{ ...entry, quarantine_reason: interpretation.reason }] : [],
  );
  await quarantine(tx, invalid);
  const countOf = (kind: Interpretation["kind"]) =>
    read.filter(({ interpretation }) => interpretation.kind === kind).length;
  const { webhooks, ...applied } = await applyActivities(context, tx, touchedActivities(told));
  const owed = await oweDeliveries(tx, tracedWebhooks(tracing, read, webhooks));
  if (applied.erased.length > 0) await eraseLate(tx, read, applied.erased);
  const noted = await noteAccountStatuses(tx, statuses, context.clock.now());
  const events = applied.events + noted.added;
  return {
    ...applied,
    events,
    owed: [...owed, ...noted.owed],
    repeated: told.length + statuses.length - events,
    ignored: countOf("ignored"),
    quarantined: countOf("invalid"),
    unreadable: read.reduce(
      (sum, { interpretation }) => sum + (interpretation.kind === "events" ? interpretation.unreadable : 0),
      0,
    ),
    notifications: appliedNotifications(tracing, read),
  };
}

/** Erases people from notifications about erased emails, and from no others. */
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
    pseudonym: erasedAddress,
  }));
  const entries = late.map(({ entry }) => entry);
  await eraseFromNotifications(tx, entries, people);
}

async function applyOneByOne(
  context: BatchContext,
  tx: Database,
  entries: readonly AcceptedNotification[],
): Promise<AppliedEntries> {
  const ones: AppliedEntries[] = [];
  for (const entry of entries) ones.push(await applyOrQuarantine(context, tx, entry));
  const sumOf = (count: keyof BatchSummary | "unreadable") => ones.reduce((sum, one) => sum + one[count], 0);
  return {
    events: sumOf("events"),
    repeated: sumOf("repeated"),
    discarded: sumOf("discarded"),
    ignored: sumOf("ignored"),
    quarantined: sumOf("quarantined"),
    unreadable: sumOf("unreadable"),
    counted: ones.flatMap(({ counted }) => counted),
    discardedFor: ones.flatMap(({ discardedFor }) => discardedFor),
    owed: ones.flatMap(({ owed }) => owed),
    erased: [],
    notifications: ones.flatMap(({ notifications }) => notifications),
  };
}

async function applyOrQuarantine(
  context: BatchContext,
  tx: Database,
  entry: AcceptedNotification,
): Promise<AppliedEntries> {
  try {
    return await tx.transaction((step) => applyTogether(context, step, [entry]));
  } catch (error) {
    if (!isDataError(error)) throw error;
    // The server's message may quote the value.
    const reason = `The database cannot store it (SQLSTATE ${sqlState(error)})`;
    await quarantine(tx, [{ ...entry, quarantine_reason: reason }]);
    return {
      ...nothingApplied,
      owed: [],
      repeated: 0,
      ignored: 0,
      quarantined: 1,
      unreadable: 0,
      notifications: appliedNotifications(context.tracing, [
        { entry, interpretation: { kind: "invalid", reason } },
      ]),
    };
  }
}

/**
 * Stores what SES reports about accounts, and the webhooks that endpoints get for it.
 * @returns how many were not known, and the lanes to wake.
 */
async function noteAccountStatuses(
  tx: Database,
  statuses: readonly StatusRow[],
  recordedAt: Date,
): Promise<{ added: number; owed: Lane[] }> {
  const addedIds = await insertStatuses(tx, statuses);
  // A batch may hold a status twice.
  const added = new Map(statuses.filter(({ id }) => addedIds.has(id)).map((status) => [status.id, status]));
  const webhooks = [...added.values()].map((status) => ({
    project_id: status.project_id,
    webhook: accountStatusWebhook(status, recordedAt),
  }));
  return { added: added.size, owed: await oweDeliveries(tx, webhooks) };
}
