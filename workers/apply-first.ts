import { errorText } from "../src/logger.ts";
import { nextWaiting } from "../src/storage/waiting-batches.ts";
import { applyBatch, type BatchContext } from "./apply-batch.ts";

/**
 * Applies what one transaction takes, when a worker starts: after an outage something waits, and it can be applied before
 * the queue is open. The rest is left to the jobs of the queue.
 */
export async function applyFirst(context: BatchContext): Promise<void> {
  try {
    const batchId = await nextWaiting(context.db);
    if (batchId !== null) await applyBatch(context, { batchId });
  } catch (error) {
    // The database is away; the sweep finds the batch again.
    context.log.warn({ cause: errorText(error) }, "applying what waits failed");
  }
}
