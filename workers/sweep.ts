import type { Context } from "../src/context.ts";
import { dayMs } from "../src/domain/time-text.ts";
import type { Database } from "../src/storage/database.ts";
import { takeBatchesToWake, wakeSoon } from "../src/storage/waiting-batches.ts";
import { cancelDeliveries, holdDeliveries } from "../src/storage/webhooks/deliveries.ts";
import { forgetDeletedEndpoints, restingEndpoints } from "../src/storage/webhooks/endpoints.ts";
import { endpointsDue } from "../src/storage/webhooks/lanes.ts";
import { releaseExpiredLeases } from "../src/storage/webhooks/leases.ts";
import { heldTogether } from "../src/webhooks/endpoints.ts";

type SweepContext = Pick<Context, "db" | "queues" | "partitions" | "clock">;

const maxBatches = 1_000;

/**
 * Finds what a lost wake-up, a crash or a failure left undone, and wakes workers for it. Any number of processes may sweep
 * at the same time: waking twice costs nothing.
 */
export async function sweep({ db, queues, partitions, clock }: SweepContext): Promise<void> {
  await partitions.ensure("notifications", comingDays(clock.now()));
  await partitions.ensure("events", comingDays(clock.now()));
  await wakeBatches({ db, queues });
  await releaseExpiredLeases(db);
  await restDeliveries(db);
  const due = await endpointsDue(db);
  if (due.length > 0) await queues.wakeDeliver(due);
}

/** Holds or cancels open deliveries to disabled or deleted endpoints, also those that a batch added meanwhile. */
async function restDeliveries(db: Database): Promise<void> {
  for (const endpoint of await restingEndpoints(db)) {
    const rest = endpoint.state === "disabled" ? holdDeliveries : cancelDeliveries;
    await rest(db, endpoint, heldTogether);
  }
  await forgetDeletedEndpoints(db);
}

async function wakeBatches({ db, queues }: Pick<SweepContext, "db" | "queues">): Promise<void> {
  const batchIds = await takeBatchesToWake(db, maxBatches);
  if (batchIds.length === 0) return;
  try {
    await queues.wakeApply(batchIds.map((batchId) => ({ batchId })));
  } catch (error) {
    await wakeSoon(db, batchIds);
    throw error;
  }
}

/** Partitions are created before their day begins, so no request waits for one. */
function comingDays(now: Date): Date[] {
  return [0, 1, 2].map((days) => new Date(now.getTime() + days * dayMs));
}
