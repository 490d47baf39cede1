import type { JobsOptions } from "bullmq";
import type { Lane } from "../domain/webhooks/owed.ts";

/*
 * Jobs only wake workers. Every fact and every timer is in Postgres, so a lost job costs the time until the next sweep,
 * and a failed one is not kept: the sweep decides when to try again.
 */

/** Prefix of BullMQ's keys in Redis; in braces, so that they are in one slot of a Redis Cluster. */
export const keyPrefix = "{fanmail}";

export const queueNames = { apply: "fanmail-apply", deliver: "fanmail-deliver" } as const;

/** Apply the notifications of a batch. */
export type ApplyJob = { batchId: string };

const forgotten: JobsOptions = { attempts: 1, removeOnComplete: true, removeOnFail: true };

/**
 * A wake-up has no job id: a job with the same id that a killed process left behind would swallow it. A batch that is
 * woken twice is applied once.
 */
export const applyOptions: JobsOptions = forgotten;

/** A lane has one turn at a time; a wake-up during the turn is kept and follows it. */
export function deliverOptions({ endpointId }: Lane): JobsOptions {
  return { ...forgotten, deduplication: { id: endpointId, keepLastIfActive: true } };
}
