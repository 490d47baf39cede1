import { afterFailure } from "./retry-schedule.ts";

/** Classes of failed attempts, all on the receiver's side. `blocked`: the address guard does not allow the address. */
export const failureClasses = [
  "http_3xx",
  "http_4xx",
  "http_5xx",
  "timeout",
  "dns",
  "tls",
  "connection",
  "blocked",
] as const;
export type FailureClass = (typeof failureClasses)[number];

/** A POST that was made or tried. */
export type MadeAttempt = {
  kind: "made";
  /** null: a success. */
  failure: FailureClass | null;
  /** Of the response; null: there was none. */
  status: number | null;
  /** The Retry-After of the response; 0: it has none. */
  retryAfterMs: number;
  /** The problem, if there was no complete response. */
  message: string | null;
  /** The beginning of the response body; null: there was none. */
  excerpt: string | null;
};

export type AttemptResult =
  | MadeAttempt
  /** Aborted because the process stops: does not use up an attempt. */
  | { kind: "released" }
  /** An internal error: does not use up an attempt. */
  | { kind: "our-fault"; message: string };

/** The next state of a delivery. `held`: its endpoint is disabled. */
export type DeliveryOutcome =
  | { state: "succeeded" }
  | { state: "retrying"; delayMs: number }
  | { state: "exhausted" }
  | { state: "held" };

/** The status with which an endpoint says that it no longer exists. */
export const gone = 410;

/**
 * The next state of a delivery after an attempt: 2xx is a success; everything else, redirects too, is a failure and is
 * retried on schedule. If the endpoint is gone, the delivery is held.
 * @param step of the schedule; 1 for the first attempt.
 * @param jitter in [0, 1).
 */
export function outcomeOf(attempt: MadeAttempt, step: number, jitter: number): DeliveryOutcome {
  if (attempt.failure === null) return { state: "succeeded" };
  if (attempt.status === gone) return { state: "held" };
  const decision = afterFailure(step, jitter, attempt.retryAfterMs);
  return decision.kind === "retry"
    ? { state: "retrying", delayMs: decision.delayMs }
    : { state: "exhausted" };
}

/** The class of a response status; null: a success, which only 2xx is. */
export function failureOfStatus(status: number): FailureClass | null {
  if (status >= 200 && status < 300) return null;
  // After a 101 the connection speaks another protocol.
  if (status < 200) return "connection";
  if (status < 400) return "http_3xx";
  return status < 500 ? "http_4xx" : "http_5xx";
}
