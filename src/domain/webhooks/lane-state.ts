import { gone, type MadeAttempt } from "./outcome.ts";

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const dayMs = 24 * 60 * minuteMs;

/** The attempts of half a minute. */
type RecentAttempts = { at: number; attempts: number; failures: number };

/** The health of an endpoint, and when it may have its next turn. */
export type LaneState = {
  /** No turn before this time. */
  paused_until: Date | null;
  /** How often the breaker has opened in a row; 0: closed. */
  breaker_openings: number;
  /** How often the endpoint has asked to slow down in a row. */
  slowdowns: number;
  /** Attempts of the last five minutes; `at` in epoch seconds. */
  recent: RecentAttempts[];
  /** The first failure since the last success. */
  failing_since: Date | null;
  last_success_at: Date | null;
};

/** The lane of a new endpoint, and of one that is enabled again. */
export const freshLane: LaneState = {
  paused_until: null,
  breaker_openings: 0,
  slowdowns: 0,
  recent: [],
  failing_since: null,
  last_success_at: null,
};

export type Breaker = "closed" | "open" | "half_open";

/** Open: nothing is posted. Half open: one delivery is posted, and decides. */
export function breakerOf(lane: LaneState, now: Date): Breaker {
  if (lane.breaker_openings === 0) return "closed";
  return isPaused(lane, now) ? "open" : "half_open";
}

/** How many deliveries the next turn may post at once; 0: no turn now. */
export function turnSize(lane: LaneState, maxInFlight: number, now: Date): number {
  if (isPaused(lane, now)) return 0;
  if (lane.breaker_openings > 0) return 1;
  return Math.max(1, Math.floor(maxInFlight / 2 ** lane.slowdowns));
}

function isPaused(lane: LaneState, now: Date): boolean {
  return lane.paused_until !== null && lane.paused_until > now;
}

/**
 * The lane after the attempts of a turn.
 * @param holdMs how long an ordered lane waits for the delivery that failed; 0: none did.
 */
export function laneAfter(
  lane: LaneState,
  attempts: readonly MadeAttempt[],
  now: Date,
  holdMs = 0,
): LaneState {
  if (attempts.length === 0) return lane;
  const isAlive = attempts.some(({ failure }) => failure === null);
  const breaker = breakerAfter(lane, attempts, isAlive, now);
  const slow = slowdownAfter(lane, attempts, isAlive);
  const pauseMs = Math.max(breaker.pauseMs, slow.pauseMs, holdMs);
  return {
    paused_until: pauseMs > 0 ? new Date(now.getTime() + pauseMs) : null,
    breaker_openings: breaker.openings,
    slowdowns: slow.slowdowns,
    recent: breaker.recent,
    failing_since: isAlive ? null : (lane.failing_since ?? now),
    last_success_at: isAlive ? now : lane.last_success_at,
  };
}

const breakerWindowMs = 5 * minuteMs;
const bucketMs = minuteMs / 2;
const breakerMinAttempts = 10;
const breakerFailureShare = 0.7;
const firstOpenMs = 30 * secondMs;
const longestOpenMs = 15 * minuteMs;

/** The window is emptied when the breaker opens: one probe decides, then the attempts after it. */
function breakerAfter(lane: LaneState, attempts: readonly MadeAttempt[], isAlive: boolean, now: Date) {
  if (lane.breaker_openings > 0 && isAlive) return { openings: 0, pauseMs: 0, recent: [] };
  const recent = addRecent(lane.recent, attempts, now);
  const total = recent.reduce((sum, bucket) => sum + bucket.attempts, 0);
  const failures = recent.reduce((sum, bucket) => sum + bucket.failures, 0);
  const hasTripped = total >= breakerMinAttempts && failures >= breakerFailureShare * total;
  if (lane.breaker_openings === 0 && !hasTripped) return { openings: 0, pauseMs: 0, recent };
  const openings = lane.breaker_openings + 1;
  return { openings, pauseMs: doubled(firstOpenMs, openings, longestOpenMs), recent: [] };
}

function addRecent(
  recent: readonly RecentAttempts[],
  attempts: readonly MadeAttempt[],
  now: Date,
): RecentAttempts[] {
  const at = (Math.floor(now.getTime() / bucketMs) * bucketMs) / secondMs;
  const oldest = (now.getTime() - breakerWindowMs) / secondMs;
  const bucket = recent.find((one) => one.at === at) ?? { at, attempts: 0, failures: 0 };
  return [
    ...recent.filter((one) => one.at > oldest && one.at !== at),
    {
      at,
      attempts: bucket.attempts + attempts.length,
      failures: bucket.failures + attempts.filter(({ failure }) => failure !== null).length,
    },
  ];
}

/** Statuses of an overloaded receiver. */
const slowDown: readonly (number | null)[] = [429, 502, 504];
const firstSlowMs = secondMs;
const longestSlowMs = minuteMs;
/** A Retry-After may delay its own delivery by a day, but not the whole lane. */
const longestAskedMs = 15 * minuteMs;

function slowdownAfter(lane: LaneState, attempts: readonly MadeAttempt[], isAlive: boolean) {
  const asking = attempts.filter(({ status }) => slowDown.includes(status));
  if (asking.length === 0) {
    return { slowdowns: isAlive ? Math.max(0, lane.slowdowns - 1) : lane.slowdowns, pauseMs: 0 };
  }
  const slowdowns = Math.min(lane.slowdowns + 1, 10);
  const askedMs = Math.max(...asking.map(({ retryAfterMs }) => retryAfterMs));
  return {
    slowdowns,
    pauseMs: Math.max(doubled(firstSlowMs, slowdowns, longestSlowMs), Math.min(askedMs, longestAskedMs)),
  };
}

function doubled(firstMs: number, times: number, longestMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(times - 1, 30), longestMs);
}

/**
 * An endpoint is disabled after this long without a success, counted from its first failure: an endpoint without events is
 * not failing.
 */
const disableAfterMs = 5 * dayMs;

/** Why an endpoint must be disabled after a turn; null: it stays enabled. */
export function reasonToDisable(
  lane: LaneState,
  attempts: readonly MadeAttempt[],
  now: Date,
): "gone" | "failing" | null {
  if (attempts.some(({ status }) => status === gone)) return "gone";
  const failingMs = lane.failing_since === null ? 0 : now.getTime() - lane.failing_since.getTime();
  return failingMs >= disableAfterMs ? "failing" : null;
}
