import type { Clock } from "../clock.ts";
import { endpointDisabledWebhook } from "../domain/webhooks/event.ts";
import { freshLane } from "../domain/webhooks/lane-state.ts";
import type { Lane } from "../domain/webhooks/owed.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import type { Database } from "../storage/database.ts";
import { retryConflicts } from "../storage/database-errors.ts";
import { cancelDeliveries, holdDeliveries } from "../storage/webhooks/deliveries.ts";
import {
  type Endpoint,
  type EndpointRef,
  markDeleted,
  markDisabled,
  markEnabled,
} from "../storage/webhooks/endpoints.ts";
import { lockLane, writeLane } from "../storage/webhooks/lanes.ts";
import { cancelRedeliveriesOf } from "../storage/webhooks/redeliveries.ts";
import { oweDeliveries } from "./owe-deliveries.ts";

/** Posts to an endpoint again; its failures are forgotten. What is held for it waits for a redelivery. */
export async function enableEndpoint(db: Database, endpoint: EndpointRef): Promise<Endpoint | null> {
  return retryConflicts(() =>
    db.transaction(async (tx) => {
      const found = await lockLane(tx, { projectId: endpoint.project_id, endpointId: endpoint.id });
      if (found === null) return null;
      await writeLane(tx, endpoint, freshLane);
      return markEnabled(tx, endpoint);
    }),
  );
}

/** Posts to an endpoint no more, by its owner's wish. What it is owed is held. */
export async function disableEndpoint(db: Database, endpoint: EndpointRef): Promise<void> {
  await markDisabled(db, endpoint, "manual");
  // What is left when we are stopped is held by the sweep.
  await untilNone(() => holdDeliveries(db, endpoint, heldTogether));
}

/** @returns whether it was there, and how many deliveries were cancelled with it. */
export async function removeEndpoint(
  db: Database,
  endpoint: EndpointRef,
): Promise<{ isRemoved: boolean; cancelled: number }> {
  const isRemoved = await db.transaction(async (tx) => {
    const isFound = await markDeleted(tx, endpoint);
    await cancelRedeliveriesOf(tx, endpoint);
    return isFound;
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

/** So many deliveries are held at a time, for a transaction that stays short; the sweep holds the others. */
export const heldTogether = 5_000;

/**
 * Disables an endpoint because of how it answers. What it is owed is held, and the other endpoints of the project that
 * subscribe to it are told.
 * @returns the lanes to wake; null when it was not enabled.
 */
export async function disableFailedEndpoint(
  tx: Database,
  clock: Clock,
  endpoint: EndpointRef,
  reason: "gone" | "failing",
  failingSince: Date | null,
): Promise<Lane[] | null> {
  const disabled = await markDisabled(tx, endpoint, reason);
  if (disabled === null) return null;
  await holdDeliveries(tx, endpoint, heldTogether);
  const disabledAt = disabled.disabled_at ?? clock.now();
  const webhook = endpointDisabledWebhook(clock.newId(), disabled, reason, { failingSince, disabledAt });
  return oweDeliveries(tx, [{ project_id: endpoint.project_id, webhook }], endpoint.id);
}

/** Says so where operators look. */
export function reportDisabled(
  { log, metrics }: { log: Logger; metrics: Metrics },
  endpointId: string,
  reason: "gone" | "failing",
): void {
  metrics.countDisabled(reason);
  log.warn({ endpoint_id: endpointId, reason }, "webhook endpoint disabled");
}
