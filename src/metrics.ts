import { Counter, Registry } from "prom-client";
import type { FailureClass } from "./domain/delivery-outcome.ts";

/** What came of a POST, or of what should have been one. */
export type AttemptOutcome = "succeeded" | FailureClass | "our_fault";

/** What this process counts, for `/metrics`. */
export type Metrics = {
  registry: Registry;
  webhookAttempts: Counter<"outcome">;
  endpointsDisabled: Counter<"reason">;
};

export function createMetrics(): Metrics {
  const registry = new Registry();
  return {
    registry,
    webhookAttempts: new Counter({
      name: "fanmail_webhook_attempts_total",
      help: "Webhooks posted by this process, by what came of it; our_fault: not posted for a reason of ours",
      labelNames: ["outcome"],
      registers: [registry],
    }),
    endpointsDisabled: new Counter({
      name: "fanmail_webhook_endpoints_disabled_total",
      help: "Endpoints that this process disabled because they are gone or failed for days",
      labelNames: ["reason"],
      registers: [registry],
    }),
  };
}
