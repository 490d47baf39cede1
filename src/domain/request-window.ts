/** The sliding window over which a key's requests are counted, in buckets of a second. */
export const windowSeconds = 60;

/** The requests of a key that a process has to count. */
export type RequestsToCount = {
  /** Requests that have already passed; they count whatever the limit. */
  passed: number;
  /** Requests that wait. As many pass as the limit allows; the others are not counted. */
  waiting: number;
  /** Requests in a window. */
  limit: number;
};

export type CountedRequests = {
  /** How many of the waiting requests pass. */
  granted: number;
  /** The number of requests in the window now. */
  used: number;
  /** Until the oldest requests leave the window; at least 1. */
  secondsUntilMore: number;
};

/** Counts over all processes. */
export type CountRequests = (keyId: string, requests: RequestsToCount) => Promise<CountedRequests>;

/**
 * @param oldestSecond of the window's first bucket, in epoch seconds.
 * @param now in epoch seconds with a fraction, by the clock that names the buckets.
 */
export function secondsUntilMore(oldestSecond: number, now: number): number {
  return Math.max(1, Math.ceil(oldestSecond + windowSeconds - now));
}
