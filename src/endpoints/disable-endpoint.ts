import type { Clock } from "../clock.ts";
import { endpointDisabledWebhook } from "../domain/webhooks/event.ts";
import type { Lane } from "../domain/webhooks/owed.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import type { Database } from "../storage/database.ts";
import { holdDeliveries } from "../storage/deliveries.ts";
import { markDisabled } from "../storage/endpoints.ts";
import { oweDeliveries } from "./owe-deliveries.ts";

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
  endpoint: { project_id: string; id: string },
  reason: "gone" | "failing",
  failingSince: Date | null,
): Promise<Lane[] | null> {
  const disabled = await markDisabled(tx, endpoint, reason);
  if (disabled === null) return null;
  await holdDeliveries(tx, endpoint, heldTogether);
  const disabledAt = disabled.disabled_at ?? clock.now();
  const webhook = endpointDisabledWebhook(clock.newId(), disabled, reason, { failingSince, disabledAt });
  return oweDeliveries(tx, endpoint.project_id, [webhook], endpoint.id);
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
