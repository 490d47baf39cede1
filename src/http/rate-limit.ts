import type { Response } from "express";
import type { Clock } from "../clock.ts";
import type { CountRequests } from "../domain/request-window.ts";
import { errorText, type Logger } from "../logger.ts";
import type { Caller } from "./auth.ts";
import { ApiError } from "./errors.ts";

type RateLimit = {
  count: CountRequests;
  /** Requests per minute. */
  limit: number;
  clock: Pick<Clock, "now">;
  log: Logger;
};

/** The counted requests of a key, and those that are not counted yet. */
type KeyWindow = {
  used: number;
  secondsUntilMore: number;
  countedAtMs: number;
  /** Allowed without waiting for the count. */
  passed: number;
  waiting: ((isGranted: boolean) => void)[];
  isCounting: boolean;
};

const unknown = { used: 0, secondsUntilMore: 1, countedAtMs: 0, passed: 0, isCounting: false };

/**
 * Limits the requests of each key over all processes. Requests that arrive during a count are counted together in the next
 * one, and far from the limit a request does not wait for its count.
 */
export function createRateLimit(rateLimit: RateLimit) {
  const windows = new Map<string, KeyWindow>();

  /** Counts a request. @throws ApiError 429 */
  return async (
    { apiKeyId }: Pick<Caller, "apiKeyId">,
    response: Pick<Response, "setHeader">,
  ): Promise<void> => {
    const window = windows.get(apiKeyId) ?? { ...unknown, waiting: [] };
    windows.set(apiKeyId, window);
    const isGranted = await admit(rateLimit, apiKeyId, window);
    const { used, passed, secondsUntilMore } = window;
    response.setHeader("ratelimit-limit", rateLimit.limit);
    response.setHeader("ratelimit-remaining", Math.max(0, rateLimit.limit - used - passed));
    response.setHeader("ratelimit-reset", secondsUntilMore);
    if (isGranted) return;
    response.setHeader("retry-after", secondsUntilMore);
    throw new ApiError(
      429,
      `More than ${rateLimit.limit} requests in a minute; try again in ${secondsUntilMore} s`,
    );
  };
}

async function admit(rateLimit: RateLimit, apiKeyId: string, window: KeyWindow): Promise<boolean> {
  if (mayPassUncounted(rateLimit, window)) {
    window.passed++;
    void countAll(rateLimit, apiKeyId, window);
    return true;
  }
  const isGranted = new Promise<boolean>((resolve) => window.waiting.push(resolve));
  void countAll(rateLimit, apiKeyId, window);
  return isGranted;
}

/** After this time other processes may have allowed too many. */
const knownForMs = 1_000;

/** At most 1 % of the limit is uncounted at a time, so a process can exceed it by no more. */
function mayPassUncounted({ limit, clock }: RateLimit, { used, passed, countedAtMs }: KeyWindow): boolean {
  const isKnown = clock.now().getTime() - countedAtMs < knownForMs;
  return isKnown && used + passed < limit / 2 && passed + 1 <= limit / 100;
}

/** One count at a time, until nothing is left to count. */
async function countAll(
  { count, limit, clock, log }: RateLimit,
  apiKeyId: string,
  window: KeyWindow,
): Promise<void> {
  if (window.isCounting) return;
  window.isCounting = true;
  while (window.passed > 0 || window.waiting.length > 0) {
    const waiting = window.waiting.splice(0);
    const { passed } = window;
    window.passed = 0;
    try {
      const { granted, ...known } = await count(apiKeyId, { passed, waiting: waiting.length, limit });
      Object.assign(window, known, { countedAtMs: clock.now().getTime() });
      for (const [place, settle] of waiting.entries()) settle(place < granted);
    } catch (error) {
      // If counting fails, requests are allowed.
      log.warn({ cause: errorText(error) }, "requests not counted");
      for (const settle of waiting) settle(true);
    }
  }
  window.isCounting = false;
}
