import { pause } from "../src/clock.ts";
import type { Context } from "../src/context.ts";
import { turnSize } from "../src/domain/webhooks/lane-state.ts";
import { afterTaking, allowedNow, msUntilAllowed } from "../src/domain/webhooks/rate-allowance.ts";
import { errorText } from "../src/logger.ts";
import type { DeliverJob } from "../src/queue/jobs.ts";
import { lockLane, type TurningEndpoint, writeAllowance } from "../src/storage/webhooks/lanes.ts";
import { finishLease, leaseDue } from "../src/storage/webhooks/leases.ts";
import { attemptTimeoutMs } from "../src/webhooks/post.ts";
import { type EndpointSecrets, openEndpointSecrets } from "../src/webhooks/secret-box.ts";
import type { Places } from "../src/webhooks/socket-room.ts";
import {
  inOrderMs,
  postDeliveries,
  released,
  restAfterOurFault,
  type TakenDeliveries,
} from "./post-deliveries.ts";

type LaneContext = Pick<
  Context,
  "db" | "clock" | "queues" | "secretBox" | "webhookConnections" | "metrics" | "tracing" | "log"
>;

/** Outlasts the last attempt of a turn and the writing of its outcome, so that nobody else posts the same meanwhile. */
const leaseSeconds = (inOrderMs + attemptTimeoutMs) / 1000 + 5;
/** A turn waits for its rate itself when it is not for longer; the sweep wakes lanes that wait longer. */
const longestWaitMs = 1_000;
/** A wake-up costs more than a few posts: a turn goes on for so long before it lets others have its place. */
const turnMs = 1_000;

/**
 * One turn of an endpoint's lane: takes what is due, at most as much as may be in flight, posts it, writes all
 * outcomes, and goes on so for a second. Then it is woken again when there may be more, behind the others that wait. So
 * endpoints take turns, and a slow one waits alone.
 * @param stopping breaks off the posts when the process ends.
 */
export async function deliverLane(
  context: LaneContext,
  job: DeliverJob,
  stopping: AbortSignal,
): Promise<void> {
  const endMs = performance.now() + turnMs;
  while (await postDue(context, job, stopping)) {
    if (stopping.aborted) return;
    if (performance.now() < endMs) continue;
    await context.queues.wakeDeliver([job]);
    return;
  }
}

/** @returns whether more is likely to be due now. */
async function postDue(context: LaneContext, job: DeliverJob, stopping: AbortSignal): Promise<boolean> {
  const places = await context.webhookConnections.room.take(stopping);
  if (places === null) return false;
  try {
    const taken = await takeDue(context, job, places);
    if ("waitMs" in taken) {
      if (taken.waitMs === 0 || taken.waitMs > longestWaitMs) return false;
      places.keep(0);
      await pause(taken.waitMs, stopping);
      return true;
    }
    const { endpoint, due } = taken;
    places.keep(endpoint.ordered ? 1 : due.length);
    const secrets = await openedSecrets(context, taken);
    if (secrets === null) return false;
    const onPosted = endpoint.ordered ? () => {} : places.leave;
    return await postDeliveries(context, taken, { ...endpoint, ...secrets }, { stopping, onPosted });
  } finally {
    places.keep(0);
  }
}

/** @returns how long to wait where there is nothing to post now; 0: until woken. */
async function takeDue(
  { db, clock }: LaneContext,
  job: DeliverJob,
  places: Places,
): Promise<TakenDeliveries | { waitMs: number }> {
  return db.transaction(async (tx) => {
    const endpoint = await lockLane(tx, job);
    if (endpoint === null || endpoint.state !== "enabled") return { waitMs: 0 };
    const { allowance, rate_per_second: rate, now } = endpoint;
    const size = placesFor(endpoint, places);
    if (size === 0) return { waitMs: 0 };
    const limit = rate === null ? size : Math.min(size, allowedNow(allowance, rate, now));
    if (rate !== null && limit <= 0) return { waitMs: msUntilAllowed(allowance, rate, now) };
    const lease = { id: clock.newId(), seconds: leaseSeconds, limit };
    const due = await leaseDue(tx, endpoint, lease);
    if (due.length === 0) return { waitMs: 0 };
    if (rate !== null) await writeAllowance(tx, endpoint, afterTaking(allowance, rate, due.length, now));
    return { endpoint, leaseId: lease.id, limit, due };
  });
}

/** Those of an ordered lane need one place: they are posted one after the other. */
function placesFor({ ordered, lane, max_in_flight, now }: TurningEndpoint, places: Places): number {
  const size = turnSize(lane, max_in_flight, now);
  return size === 0 || ordered ? size : places.grow(size);
}

/** Secrets that do not open are no fault of the receiver: nothing is used up, and the lane rests. */
async function openedSecrets(
  { db, secretBox, log, metrics }: LaneContext,
  { endpoint, leaseId, due }: TakenDeliveries,
): Promise<EndpointSecrets | null> {
  try {
    return openEndpointSecrets(secretBox, endpoint);
  } catch (error) {
    metrics.countAttempts("our_fault", due.length);
    log.error({ endpoint_id: endpoint.id, cause: errorText(error) }, "secrets of a webhook endpoint");
    await finishLease(db, endpoint, leaseId, due.map(released));
    await restAfterOurFault({ db }, endpoint, "all");
    return null;
  }
}
