import type { Express } from "express";
import type { ApiContext } from "../api-context.ts";
import { storedMetrics } from "../stored-metrics.ts";

/** `/metrics` for Prometheus: what this process counted, and what the database says about all. */
export function registerMetrics(
  app: Express,
  { db, log, metrics: { registry } }: Pick<ApiContext, "db" | "log" | "metrics">,
): void {
  app.get("/metrics", async (_request, response) => {
    const [counted, stored] = await Promise.all([registry.metrics(), storedMetrics(db, log)]);
    response.type(registry.contentType).send(`${counted}\n${stored}`);
  });
}
