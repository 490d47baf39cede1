import { pause } from "../src/clock.ts";
import type { Context } from "../src/context.ts";
import { errorText } from "../src/logger.ts";
import { eraseStep } from "../src/people/erase-person.ts";
import { applyBatch } from "./apply-batch.ts";
import { deliverLane } from "./deliver-lane.ts";
import { sweep } from "./sweep.ts";

const applyConcurrency = 2;
/** Waiting for an answer costs no thread. */
const laneConcurrency = 200;
const sweepEveryMs = 1_000;
const lookForErasuresEveryMs = 5_000;
/** For customers' systems that are about to answer; a post that is broken off may arrive twice. */
const postGraceMs = 3_000;

export type Workers = {
  /** Takes no more work and finishes what runs; posts that take longer than the grace are broken off. */
  close(): Promise<void>;
};

/** Runs everything that happens because a job arrived, and the sweep. */
export function startWorkers(context: Context): Workers {
  const stopping = new AbortController();
  const breakOff = new AbortController();
  context.queues.onApply(applyConcurrency, (job) => applyBatch(context, job));
  context.queues.onDeliver(laneConcurrency, (job) => deliverLane(context, job, breakOff.signal));
  const sweeping = sweepUntil(context, stopping.signal);
  const erasing = eraseUntil(context, stopping.signal);
  return {
    async close() {
      stopping.abort();
      const grace = setTimeout(() => breakOff.abort(), postGraceMs);
      await Promise.all([sweeping, erasing, context.queues.stopWorking()]);
      clearTimeout(grace);
    },
  };
}

async function sweepUntil(context: Context, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    await sweep(context).catch((error: unknown) => {
      // The database or the queue is away; the next sweep finds the same.
      context.log.warn({ cause: errorText(error) }, "sweep failed");
    });
    await pause(sweepEveryMs, stopping);
  }
}

/** Takes people who were erased out of the journal, step by step. */
async function eraseUntil({ db, log }: Context, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    const isMore = await eraseStep(db).catch((error: unknown) => {
      log.warn({ cause: errorText(error) }, "erasing failed");
      return false;
    });
    if (!isMore) await pause(lookForErasuresEveryMs, stopping);
  }
}
