const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** The delays after the first attempt, the second, and so on: about 76 hours in all. */
const delaysMs = [
  5_000,
  5 * minuteMs,
  30 * minuteMs,
  2 * hourMs,
  5 * hourMs,
  10 * hourMs,
  14 * hourMs,
  20 * hourMs,
  24 * hourMs,
];
const longestRetryAfterMs = 24 * hourMs;

export type RetryDecision = { kind: "retry"; delayMs: number } | { kind: "give-up" };

/**
 * Decides whether and when a failed attempt is retried.
 * @param attempt 1 for the first attempt.
 * @param jitter in [0, 1); passed in so that the result is deterministic.
 * @param retryAfterMs the least delay, from the receiver; at most 24 hours count.
 */
export function afterFailure(attempt: number, jitter: number, retryAfterMs = 0): RetryDecision {
  const baseMs = delaysMs[attempt - 1];
  if (baseMs === undefined) return { kind: "give-up" };
  const jitteredMs = Math.round(baseMs * (0.8 + 0.4 * jitter));
  return { kind: "retry", delayMs: Math.max(jitteredMs, Math.min(retryAfterMs, longestRetryAfterMs)) };
}

/**
 * Reads a Retry-After header: seconds, or an HTTP date (RFC 9110, section 10.2.3).
 * @returns milliseconds from now; 0 if it is missing, in the past or unreadable.
 */
export function parseRetryAfter(header: string | undefined, now: Date): number {
  const text = header?.trim() ?? "";
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  // Date.parse alone accepts almost any text with a number. The asctime format has no zone and means GMT.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return 0;
  const untilMs = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`) - now.getTime();
  return Number.isNaN(untilMs) ? 0 : Math.max(untilMs, 0);
}
