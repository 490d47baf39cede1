import type { ApplyJob } from "../src/queue/jobs.ts";
import { nextWaiting } from "../src/storage/waiting-batches.ts";
import { applyBatch, type BatchContext } from "./apply-batch.ts";

/** Applications of batches that run in a process at the same time: while one waits for the database, another computes. */
const mostTogether = 2;

/**
 * Makes what a worker does for each job: it applies the job's batch, and then whatever else is waiting until nothing is,
 * because receivers wake no worker while one is at work.
 * @param stopping leaves what is waiting to other processes.
 */
export function createApplier(
  context: BatchContext,
  stopping: AbortSignal,
): (job: ApplyJob) => Promise<void> {
  let running = 0;

  async function applyAll(firstId: string | null): Promise<void> {
    const others: Promise<void>[] = [];
    running++;
    try {
      for (let id = firstId; id !== null && !stopping.aborted; id = await nextWaiting(context.db)) {
        const after = await applyBatch(context, { batchId: id });
        // The sweep wakes a worker again.
        if (after === "unavailable") return;
        if (after === "more" && running < mostTogether) others.push(applyOthers());
      }
    } finally {
      running--;
      await Promise.all(others);
    }
  }

  function applyOthers(): Promise<void> {
    const applying = nextWaiting(context.db).then(applyAll);
    // Whoever began it awaits it later; until then it must not count as an unhandled rejection, which ends the process.
    applying.catch(() => {});
    return applying;
  }

  return ({ batchId }) => applyAll(batchId);
}
