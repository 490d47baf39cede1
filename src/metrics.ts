import { Counter, Registry } from "prom-client";
import { type FailureClass, failureClasses } from "./domain/delivery-outcome.ts";

/** What came of a POST, or of what should have been one. */
type AttemptOutcome = "succeeded" | FailureClass | "our_fault";
const outcomes: readonly AttemptOutcome[] = ["succeeded", ...failureClasses, "our_fault"];
const reasons = ["gone", "failing"] as const;

/** What this process counts, for `/metrics`. */
export type Metrics = {
  registry: Registry;
  countAttempts(outcome: AttemptOutcome, count?: number): void;
  countDisabled(reason: (typeof reasons)[number]): void;
};

export function createMetrics(): Metrics {
  const registry = new Registry();
  const attempts = new Counter({
    name: "fanmail_webhook_attempts_total",
    help: "Webhooks posted by this process, by what came of it; our_fault: not posted, for a reason of ours",
    labelNames: ["outcome"],
    registers: [registry],
  });
  const disabled = new Counter({
    name: "fanmail_webhook_endpoints_disabled_total",
    help: "Endpoints that this process disabled because they are gone or failed for days",
    labelNames: ["reason"],
    registers: [registry],
  });
  // A series that begins with its first count hides that count from rates.
  for (const outcome of outcomes) attempts.inc({ outcome }, 0);
  for (const reason of reasons) disabled.inc({ reason }, 0);
  return {
    registry,
    countAttempts: (outcome, count = 1) => attempts.inc({ outcome }, count),
    countDisabled: (reason) => disabled.inc({ reason }),
  };
}
