import { afterFailure } from "./retry-schedule.ts";

/**
 * Why an attempt failed, in classes that are acted on differently. All of them are the receiver's side. `blocked`: the
 * address is none that may be posted to.
 */
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

/** A POST that was made, or tried. */
export type MadeAttempt = {
  kind: "made";
  /** null: a success. */
  failure: FailureClass | null;
  /** Of the answer; null when there was none. */
  status: number | null;
  /** What the answer asked for; 0 when it did not. */
  retryAfterMs: number;
  /** What went wrong, when there was no whole answer. */
  message: string | null;
  /** The beginning of the answer's body; null when there was none. */
  excerpt: string | null;
};

export type AttemptResult =
  | MadeAttempt
  /** We broke it off ourselves, by stopping: it uses up no attempt. */
  | { kind: "released" }
  /** A fault of ours: it uses up no attempt. */
  | { kind: "our-fault"; message: string };

/** What becomes of a delivery. `held`: its endpoint is disabled. */
export type DeliveryOutcome =
  | { state: "succeeded" }
  | { state: "retrying"; delayMs: number }
  | { state: "exhausted" }
  | { state: "held" };

/** The endpoint says that it is gone for good. */
export const gone = 410;

/**
 * What becomes of a delivery after an attempt: 2xx is success, everything else (redirects too) a failure that is
 * repeated on schedule. Of an endpoint that is gone it is held.
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

/** The class of an answer; null for a success, which is 2xx alone. */
export function failureOfStatus(status: number): FailureClass | null {
  if (status >= 200 && status < 300) return null;
  // 101 speaks another protocol from there on.
  if (status < 200) return "connection";
  if (status < 400) return "http_3xx";
  return status < 500 ? "http_4xx" : "http_5xx";
}
