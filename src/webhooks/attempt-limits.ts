import { type Waits, waitsOf } from "../clock.ts";

/** What ends an attempt. */
type AttemptLimit = {
  /** Called when the attempt's time is over, or when the process stops; not after `release`. */
  end: () => void;
  isOverdue: boolean;
  release: () => void;
};

/** By the signal that stops them, and by their time. */
const attemptsBySignal = new WeakMap<AbortSignal, Map<number, Waits>>();

/**
 * Ends an attempt after so many milliseconds, or when `stopping` aborts. All attempts share one listener and one timer: of
 * their own they cost as much as a signature. `AbortSignal.any` would leak memory for every attempt until the process ends,
 * because `stopping` lives that long.
 */
export function limitAttempt(stopping: AbortSignal, milliseconds: number): AttemptLimit {
  const limit: AttemptLimit = { end: () => {}, isOverdue: false, release: () => {} };
  limit.release = attemptsOf(stopping, milliseconds).begin((isLate) => {
    limit.isOverdue = isLate;
    limit.end();
  });
  return limit;
}

function attemptsOf(stopping: AbortSignal, milliseconds: number): Waits {
  const byTime = attemptsBySignal.get(stopping) ?? new Map<number, Waits>();
  attemptsBySignal.set(stopping, byTime);
  const known = byTime.get(milliseconds);
  if (known !== undefined) return known;
  const attempts = waitsOf(milliseconds);
  byTime.set(milliseconds, attempts);
  stopping.addEventListener("abort", attempts.endAll);
  return attempts;
}
