import type { Clock } from "../clock.ts";
import { UnavailableError } from "../domain/errors.ts";
import { testWebhook } from "../domain/webhooks/event.ts";
import { type LaneState, laneAfter } from "../domain/webhooks/lane-state.ts";
import { gone, type MadeAttempt } from "../domain/webhooks/outcome.ts";
import { owedDeliveryId } from "../domain/webhooks/owed.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import type { Queues } from "../queue/queues.ts";
import type { Database } from "../storage/database.ts";
import { retryConflicts } from "../storage/database-errors.ts";
import type { WholeDelivery } from "../storage/webhooks/deliveries.ts";
import type { EndpointRef } from "../storage/webhooks/endpoints.ts";
import { lockLane, type TurningEndpoint, writeLane } from "../storage/webhooks/lanes.ts";
import {
  type AttemptRow,
  finishLease,
  insertLeasedDelivery,
  recordManualAttempt,
} from "../storage/webhooks/leases.ts";
import type { Tracing } from "../tracing/tracing.ts";
import { makeAttempt } from "./attempt.ts";
import type { WebhookConnections } from "./connections.ts";
import { disableFailedEndpoint, reportDisabled } from "./endpoints.ts";
import { wakeLanes } from "./owe-deliveries.ts";
import { attemptTimeoutMs } from "./post.ts";
import { openEndpointSecrets, type SecretBox } from "./secret-box.ts";

export type PostByHandContext = {
  db: Database;
  clock: Clock;
  secretBox: SecretBox;
  webhookConnections: WebhookConnections;
  tracing: Tracing;
  metrics: Metrics;
  log: Logger;
  queues: Pick<Queues, "wakeDeliver">;
};

/** For a connection while all are in use. */
const longestWaitMs = 5_000;
const leaseSeconds = (longestWaitMs + attemptTimeoutMs) / 1000 + 5;

/**
 * Posts `webhook.test` once, at once, also to a disabled endpoint: it can be tried before it is enabled.
 * @returns the delivery's id; null if there is no such endpoint.
 * @throws on internal errors.
 */
export async function testEndpoint(context: PostByHandContext, key: EndpointRef): Promise<string | null> {
  const { db, clock } = context;
  const endpoint = await readEndpoint(db, key);
  if (endpoint === null) return null;
  const event = testWebhook(clock.newId(), key, clock.now());
  const id = owedDeliveryId(key.id, event.id);
  const leaseId = clock.newId();
  await insertLeasedDelivery(db, key, event, { id, leaseId, leaseSeconds });
  const posted = { id, event_id: event.id, body: event.body(), attempts: 0 };
  const { made, row } = await post(context, endpoint, posted);
  const outcome = { state: made.failure === null ? ("succeeded" as const) : ("exhausted" as const) };
  await record(context, { ...key, isWaitedFor: false }, made, (tx) =>
    finishLease(tx, endpoint, leaseId, [{ delivery_id: id, outcome, attempt: row }]),
  );
  return id;
}

/**
 * Posts a delivery again, at once, in any state. A success ends it; a failure does not change its schedule.
 * @returns false if its endpoint was removed.
 * @throws on internal errors.
 */
export async function resendDelivery(context: PostByHandContext, delivery: WholeDelivery): Promise<boolean> {
  const key = { project_id: delivery.project_id, id: delivery.endpoint_id };
  const endpoint = await readEndpoint(context.db, key);
  if (endpoint === null) return false;
  const { made, row } = await post(context, endpoint, delivery);
  const isWaitedFor = delivery.state === "retrying";
  await record(context, { ...key, isWaitedFor }, made, (tx) => recordManualAttempt(tx, delivery, row));
  return true;
}

function readEndpoint(db: Database, { project_id, id }: EndpointRef): Promise<TurningEndpoint | null> {
  return db.transaction((tx) => lockLane(tx, { projectId: project_id, endpointId: id }));
}

async function post(
  context: PostByHandContext,
  endpoint: TurningEndpoint,
  posted: Parameters<typeof makeAttempt>[2],
): Promise<{ made: MadeAttempt; row: AttemptRow }> {
  const secrets = openEndpointSecrets(context.secretBox, endpoint);
  const places = await context.webhookConnections.room.take(AbortSignal.timeout(longestWaitMs));
  if (places === null) throw new UnavailableError("All connections for webhooks are in use");
  const { result, row } = await makeAttempt(
    context,
    { ...endpoint, ...secrets },
    posted,
    neverStopping,
  ).finally(places.leave);
  if (result.kind !== "made" || row === null) {
    context.metrics.countAttempts("our_fault");
    throw new Error(result.kind === "our-fault" ? result.message : "The webhook was not posted");
  }
  context.metrics.countAttempts(result.failure ?? "succeeded");
  return { made: result, row };
}

/** An API caller is waiting, so shutdown does not cut this attempt off. */
const neverStopping = new AbortController().signal;

/**
 * Writes an attempt. A success also resets the endpoint's failures, and 410 disables it; other manual failures do not count
 * against it.
 * @param key.isWaitedFor whether an ordered lane waits for this delivery.
 */
async function record(
  context: PostByHandContext,
  { isWaitedFor, ...key }: EndpointRef & { isWaitedFor: boolean },
  made: MadeAttempt,
  write: (tx: Database) => Promise<void>,
): Promise<void> {
  const { db, clock } = context;
  const isGone = made.status === gone;
  const lanes = await retryConflicts(() =>
    db.transaction(async (tx) => {
      const current = await lockLane(tx, { projectId: key.project_id, endpointId: key.id });
      await write(tx);
      if (current === null) return null;
      if (made.failure === null) await writeLane(tx, key, laneAlive(current, made, isWaitedFor));
      return isGone ? disableFailedEndpoint(tx, clock, key, "gone", current.lane.failing_since) : null;
    }),
  );
  if (lanes === null) return;
  reportDisabled(context, key.id, "gone");
  await wakeLanes(context, lanes);
}

/** An ordered lane that waits for another delivery continues to wait, unless its breaker has paused it. */
function laneAlive(
  { ordered, lane, now }: TurningEndpoint,
  made: MadeAttempt,
  isWaitedFor: boolean,
): LaneState {
  const alive = laneAfter(lane, [made], now);
  const isWaiting = ordered && !isWaitedFor && lane.breaker_openings === 0;
  return isWaiting ? { ...alive, paused_until: lane.paused_until } : alive;
}
