import type { Context } from "../src/context.ts";
import { type DeliveryOutcome, type MadeAttempt, outcomeOf } from "../src/domain/delivery-outcome.ts";
import { laneAfter, reasonToDisable } from "../src/domain/lane-state.ts";
import { disableFailedEndpoint, reportDisabled } from "../src/endpoints/disable-endpoint.ts";
import { makeAttempt, type PostedEndpoint } from "../src/endpoints/make-attempt.ts";
import { wakeLanes } from "../src/endpoints/owe-deliveries.ts";
import type { Database } from "../src/storage/database.ts";
import { retryConflicts } from "../src/storage/database-errors.ts";
import { type FinishedDelivery, finishLease, type LeasedDelivery } from "../src/storage/delivery-leases.ts";
import { lockLane, pauseLane, type TurningEndpoint, writeLane } from "../src/storage/lanes.ts";

type PostContext = Pick<
  Context,
  "db" | "clock" | "queues" | "webhookDispatcher" | "metrics" | "tracing" | "log"
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
const pauseAfterOurFaultSeconds = 30;

/** A delivery after its attempt; `made` is null when none was. */
type Posted = FinishedDelivery & { made: MadeAttempt | null };

/** Posts what was taken and writes all outcomes. @returns whether more is likely to be due now. */
export async function postDeliveries(
  context: PostContext,
  { endpoint, leaseId, limit, due }: TakenDeliveries,
  posted: PostedEndpoint,
  stopping: AbortSignal,
): Promise<boolean> {
  const post = (delivery: LeasedDelivery) => postDelivery(context, posted, delivery, stopping);
  const finished = endpoint.ordered ? await inOrder(due, post) : await Promise.all(due.map(post));
  const disabled = await retryConflicts(() =>
    context.db.transaction((tx) => writeOutcomes(context, tx, endpoint, leaseId, finished)),
  );
  if (disabled !== null) {
    reportDisabled(context, endpoint.id, disabled.reason);
    await wakeLanes(context, disabled.lanes);
  }
  const isOurFault = finished.every(({ made }) => made === null) && !stopping.aborted;
  if (isOurFault) await restAfterOurFault(context, endpoint);
  return !isOurFault && (due.length === limit || finished.some(({ made }) => made === null));
}

/** Nothing of it is the receiver's fault, and nothing is used up; trying again at once would come to the same. */
export async function restAfterOurFault(
  { db }: Pick<PostContext, "db">,
  endpoint: TurningEndpoint,
): Promise<void> {
  await pauseLane(db, endpoint, pauseAfterOurFaultSeconds);
}

/** What was not posted is due as before. */
export function released({ id }: LeasedDelivery): FinishedDelivery {
  return { delivery_id: id, outcome: { state: "released" }, attempt: null };
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
    finished.push(isOver || !hasTime ? { ...released(delivery), made: null } : await post(delivery));
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
  if (result.kind === "released") return { ...released(delivery), made: null };
  if (result.kind === "our-fault") {
    metrics.countAttempts("our_fault");
    log.error({ delivery_id: delivery.id, cause: result.message }, "webhook not posted");
    return { ...released(delivery), made: null };
  }
  metrics.countAttempts(result.failure ?? "succeeded");
  const { status, failure } = result;
  log.debug(
    { delivery_id: delivery.id, endpoint_id: endpoint.id, attempt: delivery.attempts + 1, status, failure },
    "webhook posted",
  );
  const outcome = outcomeOf(result, delivery.schedule_step + 1, clock.random());
  return { delivery_id: delivery.id, outcome, attempt: row, made: result };
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

function delayOf(outcome: DeliveryOutcome | { state: "released" }): number {
  return outcome.state === "retrying" ? outcome.delayMs : 0;
}
