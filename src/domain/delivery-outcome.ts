import { afterFailure } from "./retry-schedule.ts";

/** Whose fault a failed attempt is, in classes that an operator acts on differently. */
export type FailureClass = "http_3xx" | "http_4xx" | "http_5xx" | "timeout" | "dns" | "tls" | "connection";

/** What one POST came to. */
export type AttemptResult =
  | { kind: "answered"; status: number; retryAfterMs: number; excerpt: string }
  | { kind: "failed"; failure: FailureClass; message: string }
  /** We broke it off ourselves, by stopping: it uses up no attempt. */
  | { kind: "released" };

/** A result that counts as an attempt. */
export type MadeAttempt = Exclude<AttemptResult, { kind: "released" }>;

export type DeliveryOutcome =
  | { state: "succeeded" }
  | { state: "retrying"; delayMs: number }
  | { state: "exhausted" };

/**
 * What becomes of a delivery after an attempt: 2xx is success, everything else (redirects too) a failure that
 * is repeated on schedule.
 * @param attempt 1 for the first.
 * @param jitter in [0, 1).
 */
export function outcomeOf(result: MadeAttempt, attempt: number, jitter: number): DeliveryOutcome {
  if (result.kind === "answered" && isSuccess(result.status)) return { state: "succeeded" };
  const decision = afterFailure(attempt, jitter, result.kind === "answered" ? result.retryAfterMs : 0);
  return decision.kind === "retry"
    ? { state: "retrying", delayMs: decision.delayMs }
    : { state: "exhausted" };
}

/** The class under which an attempt is listed; null for a success. */
export function failureClass(result: MadeAttempt): FailureClass | null {
  if (result.kind === "failed") return result.failure;
  if (isSuccess(result.status)) return null;
  if (result.status < 400) return "http_3xx";
  return result.status < 500 ? "http_4xx" : "http_5xx";
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}
