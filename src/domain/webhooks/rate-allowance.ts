/** What an endpoint's `rate_per_second` allows: a bucket that holds a second's worth and fills at the rate. */
export type RateAllowance = {
  /** null: nothing was taken yet, it is full. */
  tokens: number | null;
  /** When there were so many. */
  tokens_at: Date | null;
};

/** How many deliveries may be posted now. */
export function allowedNow(allowance: RateAllowance, ratePerSecond: number, now: Date): number {
  return Math.floor(tokensAt(allowance, ratePerSecond, now));
}

/** The allowance after `count` were posted. */
export function afterTaking(
  allowance: RateAllowance,
  ratePerSecond: number,
  count: number,
  now: Date,
): RateAllowance {
  return { tokens: tokensAt(allowance, ratePerSecond, now) - count, tokens_at: now };
}

/** Milliseconds until one more may be posted. */
export function msUntilAllowed(allowance: RateAllowance, ratePerSecond: number, now: Date): number {
  const missing = 1 - tokensAt(allowance, ratePerSecond, now);
  return missing <= 0 ? 0 : Math.ceil((missing / ratePerSecond) * 1000);
}

/** A rate below one a second still lets one through at a time. */
function tokensAt({ tokens, tokens_at }: RateAllowance, ratePerSecond: number, now: Date): number {
  const capacity = Math.max(1, ratePerSecond);
  if (tokens === null || tokens_at === null) return capacity;
  const elapsedSeconds = Math.max(0, now.getTime() - tokens_at.getTime()) / 1000;
  return Math.min(capacity, tokens + elapsedSeconds * ratePerSecond);
}
