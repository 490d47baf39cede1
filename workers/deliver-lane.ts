import type { Context } from "../src/context.ts";
import { failureClass, type MadeAttempt, outcomeOf } from "../src/domain/delivery-outcome.ts";
import { packageVersion } from "../src/package-info.ts";
import type { DeliverJob } from "../src/queue/jobs.ts";
import {
  type FinishedAttempt,
  finishLease,
  type LeasedDelivery,
  leaseDue,
} from "../src/storage/deliveries.ts";
import { activeSecrets, type Endpoint, findEndpoint } from "../src/storage/endpoints.ts";
import { attemptTimeoutMs, postWebhook } from "../src/webhooks/post.ts";

/** Outlasts an attempt and the writing of its outcome, so that nobody else posts the same meanwhile. */
const leaseSeconds = (attemptTimeoutMs / 1000) * 3;
const userAgent = `Fanmail/${packageVersion}`;

type LaneContext = Pick<Context, "db" | "clock" | "queues" | "secretBox" | "webhookDispatcher">;

/**
 * One turn of an endpoint's lane: takes what is due, at most as much as may be in flight, posts it, writes all
 * outcomes, and is woken again when there may be more. So endpoints take turns, and a slow one waits alone.
 * @param stopping breaks off the posts when the process ends.
 */
export async function deliverLane(
  context: LaneContext,
  job: DeliverJob,
  stopping: AbortSignal,
): Promise<void> {
  const endpoint = await findEndpoint(context.db, job.projectId, job.endpointId);
  if (endpoint === null || endpoint.state === "disabled") return;
  const secrets = await secretsOf(context, endpoint);
  const lease = { id: context.clock.newId(), seconds: leaseSeconds, limit: endpoint.max_in_flight };
  const due = await leaseDue(context.db, endpoint, lease);
  if (due.length === 0) return;
  const finished = await Promise.all(
    due.map((delivery) => attemptDelivery(context, endpoint, secrets, delivery, stopping)),
  );
  await finishLease(context.db, endpoint.project_id, lease.id, finished);
  const isMoreLikely = due.length === lease.limit && !stopping.aborted;
  if (isMoreLikely) await context.queues.wakeDeliver([job]);
}

async function secretsOf({ db, secretBox }: LaneContext, endpoint: Endpoint): Promise<string[]> {
  const sealed = await activeSecrets(db, endpoint.project_id, endpoint.id);
  return sealed.map((secret) => secretBox.open(secret, endpoint.id));
}

async function attemptDelivery(
  { clock, webhookDispatcher }: LaneContext,
  endpoint: Endpoint,
  secrets: readonly string[],
  delivery: LeasedDelivery,
  stopping: AbortSignal,
): Promise<FinishedAttempt> {
  const number = delivery.attempts + 1;
  const startedAt = clock.now();
  const post = {
    url: endpoint.url,
    eventId: delivery.event_id,
    body: delivery.body,
    attempt: number,
    secrets,
  };
  const result = await postWebhook(post, {
    dispatcher: webhookDispatcher,
    now: clock.now,
    userAgent,
    stopping,
  });
  if (result.kind === "released")
    return { delivery_id: delivery.id, state: "pending", delay_ms: 0, attempt: null };
  const outcome = outcomeOf(result, number, clock.random());
  return {
    delivery_id: delivery.id,
    state: outcome.state,
    delay_ms: outcome.state === "retrying" ? outcome.delayMs : 0,
    attempt: {
      id: clock.newId(),
      number,
      started_at: startedAt,
      duration_ms: clock.now().getTime() - startedAt.getTime(),
      ...describe(result),
    },
  };
}

function describe(result: MadeAttempt) {
  return {
    status: result.kind === "answered" ? result.status : null,
    failure: failureClass(result),
    message: result.kind === "failed" ? result.message : null,
    excerpt: result.kind === "answered" ? result.excerpt : null,
  };
}
