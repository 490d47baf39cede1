import type { Context } from "../src/context.ts";
import { type MadeAttempt, outcomeOf } from "../src/domain/webhooks/outcome.ts";
import type { FinishedDelivery, LeasedDelivery } from "../src/storage/webhooks/leases.ts";
import { makeAttempt, type PostedEndpoint } from "../src/webhooks/attempt.ts";
import type { Places } from "../src/webhooks/socket-room.ts";

export type PostingContext = Pick<Context, "clock" | "webhookConnections" | "metrics" | "tracing" | "log">;

/** How long deliveries of an ordered lane that were taken together are posted one after the other. */
export const inOrderMs = 10_000;
/** A delivery that cannot be posted because of an internal error is postponed by this, and others go first. */
const putOffMs = 60_000;

type SideBySide = {
  size: number;
  endMs: number;
  places: Places;
  post: (delivery: LeasedDelivery) => Promise<PostedDelivery>;
};

/**
 * At most `size` at once. After a failure, or at the end of the turn, no other one is posted: the lane's state decides
 * first how those left go on. What is in flight is waited for.
 */
export async function sideBySide(
  due: readonly LeasedDelivery[],
  { size, endMs, places, post }: SideBySide,
): Promise<PostedDelivery[]> {
  const posted: PostedDelivery[] = [];
  const left = due.values();
  let isOver = false;
  const postSome = async () => {
    while (!isOver) {
      const { value: delivery } = left.next();
      if (delivery === undefined) break;
      const one = await post(delivery);
      posted.push(one);
      isOver ||= one.outcome.state !== "succeeded" || performance.now() >= endMs;
    }
    places.leave();
  };
  await Promise.all(due.slice(0, size).map(postSome));
  return [...posted, ...Array.from(left, released)];
}

/** One after the other; those behind a failure, or for which there is no time left, are taken again. */
export async function inOrder(
  due: readonly LeasedDelivery[],
  post: (delivery: LeasedDelivery) => Promise<PostedDelivery>,
): Promise<PostedDelivery[]> {
  const startedMs = performance.now();
  const posted: PostedDelivery[] = [];
  let isOver = false;
  for (const delivery of due) {
    const one: PostedDelivery = isOver ? released(delivery) : await post(delivery);
    posted.push(one);
    const isDone = one.outcome.state === "succeeded" || one.outcome.state === "exhausted";
    isOver ||= !isDone || performance.now() - startedMs >= inOrderMs;
  }
  return posted;
}

/** A delivery after its attempt; `made` is null when none was made. */
export type PostedDelivery = FinishedDelivery & { made: MadeAttempt | null; isOurFault: boolean };

export async function postDelivery(
  context: PostingContext,
  endpoint: PostedEndpoint,
  delivery: LeasedDelivery,
  stopping: AbortSignal,
): Promise<PostedDelivery> {
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

/** Not posted, and due as before. */
export function released({ id }: LeasedDelivery): PostedDelivery {
  const outcome = { state: "released", delayMs: 0 } as const;
  return { delivery_id: id, outcome, attempt: null, made: null, isOurFault: false };
}

/** Could not be posted. */
function putOff({ id }: LeasedDelivery): PostedDelivery {
  const outcome = { state: "released", delayMs: putOffMs } as const;
  return { delivery_id: id, outcome, attempt: null, made: null, isOurFault: true };
}
