import { createRequire } from "node:module";
import type * as Bullmq from "bullmq";

/*
 * BullMQ is CommonJS. Before Node 24 importing it takes twice as long as requiring it: all its files are searched for what
 * they export.
 */
const bullmq: typeof Bullmq = createRequire(import.meta.url)("bullmq");

export const {
  assertSchemaCompatibility,
  createPostgresBackend,
  PostgresConnection,
  PostgresQueueBackend,
  Queue,
  Worker,
  withBackend,
} = bullmq;
export type PostgresQueueBackend = Bullmq.PostgresQueueBackend;
export type Queue = Bullmq.Queue;
export type Worker = Bullmq.Worker;
