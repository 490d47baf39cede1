import type { Context } from "../src/context.ts";
import { endpointsDue, releaseExpiredLeases } from "../src/storage/deliveries.ts";
import { batchesToWake, markWoken } from "../src/storage/journal.ts";

type SweepContext = Pick<Context, "db" | "queues" | "partitions" | "clock">;

const maxBatches = 1_000;
const dayMs = 86_400_000;

/**
 * Finds what a lost wake-up, a crash or a failure has left undone, and wakes it. Any number of processes may
 * sweep at the same time: waking twice costs nothing.
 */
export async function sweep({ db, queues, partitions, clock }: SweepContext): Promise<void> {
  await partitions.ensure("notifications", comingDays(clock.now()));
  await partitions.ensure("events", comingDays(clock.now()));
  const batchIds = await batchesToWake(db, maxBatches);
  if (batchIds.length > 0) {
    await queues.wakeApply(batchIds.map((batchId) => ({ batchId })));
    await markWoken(db, batchIds);
  }
  await releaseExpiredLeases(db);
  const due = await endpointsDue(db);
  if (due.length > 0) {
    await queues.wakeDeliver(due.map(({ project_id, id }) => ({ projectId: project_id, endpointId: id })));
  }
}

/** Partitions are there before the day begins, so that no request has to wait for one. */
function comingDays(now: Date): Date[] {
  return [0, 1, 2].map((days) => new Date(now.getTime() + days * dayMs));
}
