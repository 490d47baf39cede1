/** A key's requests are counted over this time, which slides, in buckets of a second. */
export const windowSeconds = 60;

/** What a process asks when it counts the requests of a key. */
export type RequestsToCount = {
  /** Requests that it has let pass; they are counted whatever the limit. */
  passed: number;
  /** Requests that wait; as many pass as the limit leaves room for, and the others are not counted. */
  waiting: number;
  /** Of the window. */
  limit: number;
};

export type CountedRequests = {
  /** How many of those that wait pass. */
  granted: number;
  /** How many requests the window holds now. */
  used: number;
  /** Until the oldest of them leave the window; at least 1. */
  secondsUntilMore: number;
};

/** Counts for all processes together. */
export type CountRequests = (keyId: string, requests: RequestsToCount) => Promise<CountedRequests>;

/**
 * @param oldestSecond of the window's first bucket, in epoch seconds.
 * @param now in epoch seconds, with their fraction; of the clock that names the buckets.
 */
export function secondsUntilMore(oldestSecond: number, now: number): number {
  return Math.max(1, Math.ceil(oldestSecond + windowSeconds - now));
}
