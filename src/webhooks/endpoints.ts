import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import { endpointDisabledWebhook } from "../domain/webhooks/event.ts";
import { freshLane } from "../domain/webhooks/lane-state.ts";
import type { Lane } from "../domain/webhooks/owed.ts";
import { webhookSecret } from "../domain/webhooks/signature.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import type { Database } from "../storage/database.ts";
import { retryConflicts } from "../storage/database-errors.ts";
import { cancelDeliveries, holdDeliveries } from "../storage/webhooks/deliveries.ts";
import {
  type Endpoint,
  type EndpointChange,
  type EndpointRef,
  type EndpointSettings,
  insertEndpoint,
  markDeleted,
  markDisabled,
  markEnabled,
  rotateSecret,
  updateEndpoint,
} from "../storage/webhooks/endpoints.ts";
import { lockLane, writeLane } from "../storage/webhooks/lanes.ts";
import { cancelRedeliveriesOf } from "../storage/webhooks/redeliveries.ts";
import { oweDeliveries } from "./owe-deliveries.ts";
import { type SecretBox, sealEndpointHeaders } from "./secret-box.ts";

export type EndpointContext = { db: Database; clock: Clock; secretBox: SecretBox };

/** Every batch reads all endpoints of its projects. */
export const maxEndpoints = 1_000;

/** Settings of an endpoint; a missing one gets its default, or stays as it is. */
export type EndpointInput = Omit<EndpointChange, "url" | "header_names" | "sealed_headers"> & {
  headers?: Readonly<Record<string, string>> | undefined;
};

const defaults: Omit<EndpointSettings, "url"> = {
  event_types: ["*"],
  description: null,
  header_names: [],
  max_in_flight: 10,
  rate_per_second: null,
  ordered: false,
  legacy_signature: false,
};

/**
 * Adds an endpoint to a project.
 * @param url checked: see `readEndpointUrl` and `AddressGuard`.
 * @returns its id, and its secret, which is never shown again.
 */
export async function addEndpoint(
  { db, clock, secretBox }: EndpointContext,
  projectId: string,
  url: string,
  { headers = {}, ...settings }: EndpointInput = {},
): Promise<{ id: string; secret: string }> {
  const id = clock.newId();
  const secret = newSecret();
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  await insertEndpoint(db, {
    ...defaults,
    ...given,
    url,
    header_names: Object.keys(headers),
    sealed_headers: sealEndpointHeaders(secretBox, id, headers),
    project_id: projectId,
    id,
    secret: { id: clock.newId(), sealed: secretBox.seal(secret, id) },
  });
  return { id, secret };
}

/** Changes the given settings only. @param url checked, as in `addEndpoint`. */
export async function changeEndpoint(
  { db, secretBox }: Pick<EndpointContext, "db" | "secretBox">,
  endpoint: EndpointRef,
  { headers, ...change }: EndpointInput & { url?: string | undefined },
): Promise<void> {
  const sealed = headers && {
    header_names: Object.keys(headers),
    sealed_headers: sealEndpointHeaders(secretBox, endpoint.id, headers),
  };
  await updateEndpoint(db, endpoint, { ...change, ...sealed });
}

/**
 * Replaces an endpoint's secret. The old ones also sign until the overlap ends, so that the receiver may verify either.
 * @returns the new secret, which is never shown again.
 */
export async function renewSecret(
  { db, clock, secretBox }: EndpointContext,
  endpoint: EndpointRef,
  overlapHours: number,
): Promise<string> {
  const secret = newSecret();
  const sealed = { id: clock.newId(), sealed: secretBox.seal(secret, endpoint.id) };
  await db.transaction((tx) => rotateSecret(tx, endpoint, sealed, overlapHours * 3600));
  return secret;
}

function newSecret(): string {
  return webhookSecret(randomBytes(32));
}

/** Enables an endpoint and resets its failures. Held deliveries wait for a redelivery. */
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

/** Disables an endpoint by hand, and holds its deliveries. */
export async function disableEndpoint(db: Database, endpoint: EndpointRef): Promise<void> {
  await markDisabled(db, endpoint, "manual");
  // If the process stops before the end, the sweep holds the rest.
  await untilNone(() => holdDeliveries(db, endpoint, heldTogether));
}

/** @returns whether it existed, and how many deliveries were cancelled. */
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

/** Repeats a step until it does nothing. @returns the sum. */
async function untilNone(step: () => Promise<number>): Promise<number> {
  let sum = 0;
  for (let count = await step(); count > 0; count = await step()) sum += count;
  return sum;
}

/** Deliveries that one statement holds, so that transactions stay short; the sweep holds the others. */
export const heldTogether = 5_000;

/**
 * Disables an endpoint because of its answers, holds its deliveries, and sends `endpoint.disabled` to the project's other
 * endpoints.
 * @returns the lanes to wake; null if it was not enabled.
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

export function reportDisabled(
  { log, metrics }: { log: Logger; metrics: Metrics },
  endpointId: string,
  reason: "gone" | "failing",
): void {
  metrics.countDisabled(reason);
  log.warn({ endpoint_id: endpointId, reason }, "webhook endpoint disabled");
}
