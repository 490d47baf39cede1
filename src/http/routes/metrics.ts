import type { Express } from "express";
import { Gauge } from "prom-client";
import { laneTotals } from "../../storage/delivery-queries.ts";
import type { ApiContext } from "../api-context.ts";

/** `/metrics` for Prometheus: what this process counted, and what the database says about all. */
export function registerMetrics(app: Express, { db, metrics: { registry } }: ApiContext): void {
  const due = gauge(
    "fanmail_webhook_deliveries_due",
    "Webhook deliveries that are due, over all enabled endpoints",
  );
  const inFlight = gauge("fanmail_webhook_deliveries_in_flight", "Webhook deliveries that are being posted");
  const oldest = gauge("fanmail_webhook_oldest_due_seconds", "For how long the oldest delivery has been due");
  app.get("/metrics", async (_request, response) => {
    const totals = await laneTotals(db);
    due.set(totals.due);
    inFlight.set(totals.in_flight);
    oldest.set(totals.oldest_due_seconds);
    response.type(registry.contentType).send(await registry.metrics());
  });

  function gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [registry] });
  }
}
