import type { JobsOptions } from "bullmq";

/*
 * Jobs only wake workers. Every fact and every timer is in Postgres, so that a job that is lost costs the time
 * until the next sweep, and one that fails is not kept: the sweep decides when to try again.
 */

/** Before the keys of queues in Redis; in braces, so that they are in one slot of a Redis Cluster. */
export const keyPrefix = "{fanmail}";

export const queueNames = { apply: "fanmail-apply", deliver: "fanmail-deliver" } as const;

/** Apply the notifications of a batch. */
export type ApplyJob = { batchId: string };
/** Post what an endpoint is owed. */
export type DeliverJob = { projectId: string; endpointId: string };

const forgotten: JobsOptions = { attempts: 1, removeOnComplete: true, removeOnFail: true };

/**
 * A wake-up has no id of its own: a job of the same id that a killed process left behind would swallow it. A
 * batch that is woken twice is applied once.
 */
export const applyOptions: JobsOptions = forgotten;

/** An endpoint has one turn at a time; a wake-up during the turn is kept and follows it. */
export function deliverOptions({ endpointId }: DeliverJob): JobsOptions {
  return { ...forgotten, deduplication: { id: endpointId, keepLastIfActive: true } };
}
