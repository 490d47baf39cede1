import { freshLane } from "../domain/webhooks/lane-state.ts";
import type { Database } from "../storage/database.ts";
import { retryConflicts } from "../storage/database-errors.ts";
import { cancelDeliveries, holdDeliveries } from "../storage/deliveries.ts";
import { type Endpoint, markDeleted, markDisabled, markEnabled } from "../storage/endpoints.ts";
import { writeLane } from "../storage/lanes.ts";
import { cancelReplaysOf } from "../storage/replays.ts";
import { heldTogether } from "./disable-endpoint.ts";

type EndpointKey = { project_id: string; id: string };

/** Posts to an endpoint again; its failures are forgotten. What is held for it waits for a replay. */
export async function enableEndpoint(db: Database, endpoint: EndpointKey): Promise<Endpoint | null> {
  return retryConflicts(() =>
    db.transaction(async (tx) => {
      const enabled = await markEnabled(tx, endpoint);
      if (enabled) await writeLane(tx, endpoint, freshLane);
      return enabled;
    }),
  );
}

/** Posts to an endpoint no more, by its owner's wish. What it is owed is held. */
export async function disableEndpoint(db: Database, endpoint: EndpointKey): Promise<void> {
  await markDisabled(db, endpoint, "manual");
  // What is left when we are stopped is held by the sweep.
  await untilNone(() => holdDeliveries(db, endpoint, heldTogether));
}

/** @returns whether it was there, and how many deliveries were cancelled with it. */
export async function removeEndpoint(
  db: Database,
  endpoint: EndpointKey,
): Promise<{ isRemoved: boolean; cancelled: number }> {
  const isRemoved = await db.transaction(async (tx) => {
    await cancelReplaysOf(tx, endpoint);
    return markDeleted(tx, endpoint);
  });
  if (!isRemoved) return { isRemoved, cancelled: 0 };
  return { isRemoved, cancelled: await untilNone(() => cancelDeliveries(db, endpoint, heldTogether)) };
}

/** @returns the sum of what the steps did. */
async function untilNone(step: () => Promise<number>): Promise<number> {
  let sum = 0;
  for (let count = await step(); count > 0; count = await step()) sum += count;
  return sum;
}
