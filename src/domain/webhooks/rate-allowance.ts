/** The token bucket of an endpoint's `rate_per_second`: it holds the tokens of a second and fills at the rate. */
export type RateAllowance = {
  /** null: full, because nothing was taken yet. */
  tokens: number | null;
  /** When `tokens` was written. */
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

/** With a rate below one per second, the bucket still holds one token. */
function tokensAt({ tokens, tokens_at }: RateAllowance, ratePerSecond: number, now: Date): number {
  const capacity = Math.max(1, ratePerSecond);
  if (tokens === null || tokens_at === null) return capacity;
  const elapsedSeconds = Math.max(0, now.getTime() - tokens_at.getTime()) / 1000;
  return Math.min(capacity, tokens + elapsedSeconds * ratePerSecond);
}
