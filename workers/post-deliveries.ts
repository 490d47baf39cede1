import type { Context } from "../src/context.ts";
import { laneAfter, reasonToDisable } from "../src/domain/webhooks/lane-state.ts";
import { type MadeAttempt, outcomeOf } from "../src/domain/webhooks/outcome.ts";
import type { Database } from "../src/storage/database.ts";
import { retryConflicts } from "../src/storage/database-errors.ts";
import { lockLane, pauseLane, type TurningEndpoint, writeLane } from "../src/storage/webhooks/lanes.ts";
import { type FinishedDelivery, finishLease, type LeasedDelivery } from "../src/storage/webhooks/leases.ts";
import { makeAttempt, type PostedEndpoint } from "../src/webhooks/attempt.ts";
import { wakeLanes } from "../src/webhooks/owe-deliveries.ts";
import { disableFailedEndpoint, reportDisabled } from "../src/webhooks/switch-endpoint.ts";

type PostContext = Pick<
  Context,
  "db" | "clock" | "queues" | "webhookConnections" | "metrics" | "tracing" | "log"
>;

/** An endpoint, and deliveries of it that are leased. */
export type TakenDeliveries = {
  endpoint: TurningEndpoint;
  leaseId: string;
  limit: number;
  due: LeasedDelivery[];
};

/** How long deliveries that were taken together are posted one after the other. */
export const inOrderMs = 10_000;
/** A delivery that cannot be posted for a fault of ours is put off for so long, and others go first. */
const putOffMs = 60_000;
/** For so long a lane rests where nothing of a turn could be posted: what is next in it may fare no better. */
const restSeconds = { some: 5, all: 30 };

/** A delivery after its attempt; `made` is null when none was. */
type Posted = FinishedDelivery & { made: MadeAttempt | null; isOurFault: boolean };

/**
 * Posts what was taken and writes all outcomes.
 * @param onPosted told after each post.
 * @returns whether more is likely to be due now.
 */
export async function postDeliveries(
  context: PostContext,
  { endpoint, leaseId, limit, due }: TakenDeliveries,
  posted: PostedEndpoint,
  { stopping, onPosted }: { stopping: AbortSignal; onPosted: () => void },
): Promise<boolean> {
  const post = (delivery: LeasedDelivery) =>
    postDelivery(context, posted, delivery, stopping).finally(onPosted);
  const finished = endpoint.ordered ? await inOrder(due, post) : await Promise.all(due.map(post));
  const disabled = await retryConflicts(() =>
    context.db.transaction((tx) => writeOutcomes(context, tx, endpoint, leaseId, finished)),
  );
  if (disabled !== null) {
    reportDisabled(context, endpoint.id, disabled.reason);
    await wakeLanes(context, disabled.lanes);
  }
  const ourFaults = finished.filter(({ isOurFault }) => isOurFault).length;
  if (ourFaults === finished.length || (endpoint.ordered && ourFaults > 0)) {
    await restAfterOurFault(context, endpoint, endpoint.ordered ? "all" : "some");
    return false;
  }
  const isReleased = finished.some(({ made, isOurFault }) => made === null && !isOurFault);
  return due.length === limit || isReleased;
}

/**
 * Nothing of it is the receiver's fault, and nothing is used up; trying again at once would come to the same.
 * @param concerned whether all deliveries of the lane have to wait for what is wrong.
 */
export async function restAfterOurFault(
  { db }: Pick<PostContext, "db">,
  endpoint: TurningEndpoint,
  concerned: "some" | "all",
): Promise<void> {
  await pauseLane(db, endpoint, restSeconds[concerned]);
}

/** What was not posted is due as before. */
export function released({ id }: LeasedDelivery): Posted {
  const outcome = { state: "released", delayMs: 0 } as const;
  return { delivery_id: id, outcome, attempt: null, made: null, isOurFault: false };
}

/** What could not be posted. */
function putOff({ id }: LeasedDelivery): Posted {
  const outcome = { state: "released", delayMs: putOffMs } as const;
  return { delivery_id: id, outcome, attempt: null, made: null, isOurFault: true };
}

/** One after the other; those behind a failure, or for which there is no time left, are taken again. */
async function inOrder(
  due: readonly LeasedDelivery[],
  post: (delivery: LeasedDelivery) => Promise<Posted>,
): Promise<Posted[]> {
  const startedMs = performance.now();
  const finished: Posted[] = [];
  for (const delivery of due) {
    const isOver = finished.some(({ outcome }) => !["succeeded", "exhausted"].includes(outcome.state));
    const hasTime = performance.now() - startedMs < inOrderMs;
    finished.push(isOver || !hasTime ? released(delivery) : await post(delivery));
  }
  return finished;
}

async function postDelivery(
  context: PostContext,
  endpoint: PostedEndpoint,
  delivery: LeasedDelivery,
  stopping: AbortSignal,
): Promise<Posted> {
  const { clock, metrics, log } = context;
  const { result, row } = await makeAttempt(context, endpoint, delivery, stopping);
  if (result.kind === "released") return released(delivery);
  if (result.kind === "our-fault") {
    metrics.countAttempts("our_fault");
    log.error({ delivery_id: delivery.id, cause: result.message }, "webhook not posted");
    return putOff(delivery);
  }
  metrics.countAttempts(result.failure ?? "succeeded");
  const outcome = outcomeOf(result, delivery.schedule_step + 1, clock.random());
  return { delivery_id: delivery.id, outcome, attempt: row, made: result, isOurFault: false };
}

/** @returns that the endpoint was disabled, and whom to tell; null when it was not. */
async function writeOutcomes(
  { clock }: PostContext,
  tx: Database,
  { project_id, id, ordered }: TurningEndpoint,
  leaseId: string,
  finished: readonly Posted[],
) {
  // As it is now: somebody may have changed it while we were posting.
  const current = await lockLane(tx, { projectId: project_id, endpointId: id });
  await finishLease(tx, { project_id, ordered }, leaseId, finished);
  const attempts = finished.flatMap(({ made }) => (made ? [made] : []));
  if (current === null || attempts.length === 0) return null;
  const holdMs = ordered ? Math.max(0, ...finished.map(({ outcome }) => delayOf(outcome))) : 0;
  const lane = laneAfter(current.lane, attempts, current.now, holdMs);
  await writeLane(tx, current, lane);
  const reason = reasonToDisable(lane, attempts, current.now);
  if (reason === null) return null;
  const lanes = await disableFailedEndpoint(tx, clock, current, reason, lane.failing_since);
  return lanes && { reason, lanes };
}

function delayOf(outcome: FinishedDelivery["outcome"]): number {
  return outcome.state === "retrying" ? outcome.delayMs : 0;
}
