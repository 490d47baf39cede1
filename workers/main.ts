import { pause } from "../src/clock.ts";
import type { Context } from "../src/context.ts";
import { eraseStep } from "../src/erasure/erase-person.ts";
import { errorText } from "../src/logger.ts";
import { wakeLanes } from "../src/webhooks/owe-deliveries.ts";
import { redeliveryStep } from "../src/webhooks/redeliver.ts";
import { createApplier } from "./apply-waiting.ts";
import { deliverLane } from "./deliver-lane.ts";
import { retain } from "./retain.ts";
import { sweep } from "./sweep.ts";
import { createTopicWatch, type TopicWatch } from "./watch-topics.ts";

const applyConcurrency = 2;
/** A lane that waits for an answer uses no thread. */
const laneConcurrency = 500;
const sweepEveryMs = 1_000;
const lookForErasuresEveryMs = 5_000;
const lookForRedeliveriesEveryMs = 500;
const lookAtTopicsEveryMs = 60_000;
const lookForExpiredEveryMs = 60_000;
/** For endpoints that are about to answer; an aborted post may arrive twice. */
const postGraceMs = 3_000;

export type Workers = {
  /** Takes no more work and finishes what runs; posts that take longer than the grace are aborted. */
  close(): Promise<void>;
};

/** Runs the jobs of both queues, and the periodic steps. */
export function startWorkers(context: Context): Workers {
  const stopping = new AbortController();
  const breakOff = new AbortController();
  const { signal } = stopping;
  context.queues.onApply(applyConcurrency, createApplier(context, signal));
  context.queues.onDeliver(laneConcurrency, (job) => deliverLane(context, job, breakOff.signal));
  const watchTopics = createTopicWatch(context);
  const repeated = [
    repeat(context, { name: "sweep", everyMs: sweepEveryMs, stopping: signal }, () => sweepOnce(context)),
    repeat(context, { name: "erasing", everyMs: lookForErasuresEveryMs, stopping: signal }, () =>
      eraseStep(context.db),
    ),
    repeat(context, { name: "redelivery", everyMs: lookForRedeliveriesEveryMs, stopping: signal }, () =>
      redeliverOnce(context),
    ),
    repeat(context, { name: "watching topics", everyMs: lookAtTopicsEveryMs, stopping: signal }, () =>
      watchOnce(watchTopics),
    ),
    repeat(context, { name: "retention", everyMs: lookForExpiredEveryMs, stopping: signal }, () =>
      retain(context, signal),
    ),
  ];
  return {
    async close() {
      stopping.abort();
      const grace = setTimeout(() => breakOff.abort(), postGraceMs);
      await Promise.all([...repeated, context.queues.stopWorking()]);
      clearTimeout(grace);
    },
  };
}

/**
 * Repeats a step until the process stops, and pauses when there is nothing to do.
 * @param step returns whether there may be more to do at once.
 */
async function repeat(
  { log }: Context,
  { name, everyMs, stopping }: { name: string; everyMs: number; stopping: AbortSignal },
  step: () => Promise<boolean>,
): Promise<void> {
  while (!stopping.aborted) {
    const isMore = await step().catch((error: unknown) => {
      // The database or the queue is away; the next step finds the same work again.
      log.warn({ cause: errorText(error) }, `${name} failed`);
      return false;
    });
    if (!isMore) await pause(everyMs, stopping);
  }
}

/** @returns false: one sweep finds everything. */
async function sweepOnce(context: Context): Promise<boolean> {
  await sweep(context);
  return false;
}

async function watchOnce(watchTopics: TopicWatch): Promise<boolean> {
  await watchTopics();
  return false;
}

async function redeliverOnce(context: Context): Promise<boolean> {
  const step = await redeliveryStep(context.db);
  if (step === null) return false;
  await wakeLanes(context, step.lanes);
  return true;
}
