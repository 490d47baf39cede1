import type { Context } from "../context.ts";

/** What routes use of the context. */
export type ApiContext = Pick<
  Context,
  | "db"
  | "partitions"
  | "clock"
  | "log"
  | "queues"
  | "config"
  | "secretBox"
  | "addressGuard"
  | "webhookConnections"
  | "metrics"
  | "tracing"
>;
