/** What ends an attempt. */
type AttemptLimit = {
  /** Called when the attempt's time is over, or when the process stops; not after `release`. */
  end: () => void;
  isOverdue: boolean;
  release: () => void;
};

type Attempts = {
  /** Those under way, the oldest first. */
  limits: Set<AttemptLimit & { untilMs: number }>;
  timer: NodeJS.Timeout | undefined;
};

/** By the signal that stops them, and by their time. */
const underWay = new WeakMap<AbortSignal, Map<number, Attempts>>();

/**
 * Ends an attempt after so many milliseconds, or when `stopping` aborts. All attempts share one listener and one timer: of
 * their own they cost as much as a signature. `AbortSignal.any` would leak memory for every attempt until the process ends,
 * because `stopping` lives that long.
 */
export function limitAttempt(stopping: AbortSignal, milliseconds: number): AttemptLimit {
  const attempts = attemptsOf(stopping, milliseconds);
  const limit = {
    untilMs: performance.now() + milliseconds,
    isOverdue: false,
    end: () => {},
    release: () => void attempts.limits.delete(limit),
  };
  attempts.limits.add(limit);
  lookLater(attempts);
  return limit;
}

function attemptsOf(stopping: AbortSignal, milliseconds: number): Attempts {
  const byTime = underWay.get(stopping) ?? new Map<number, Attempts>();
  underWay.set(stopping, byTime);
  const known = byTime.get(milliseconds);
  if (known !== undefined) return known;
  const attempts: Attempts = { limits: new Set(), timer: undefined };
  byTime.set(milliseconds, attempts);
  stopping.addEventListener("abort", () => {
    for (const limit of attempts.limits) limit.end();
  });
  return attempts;
}

function lookLater(attempts: Attempts): void {
  const [oldest] = attempts.limits;
  if (attempts.timer !== undefined || oldest === undefined) return;
  // The connection keeps the process alive, not this watch.
  attempts.timer = setTimeout(() => endOverdue(attempts), oldest.untilMs - performance.now()).unref();
}

function endOverdue(attempts: Attempts): void {
  attempts.timer = undefined;
  const nowMs = performance.now();
  for (const limit of attempts.limits) {
    if (limit.untilMs > nowMs) break;
    attempts.limits.delete(limit);
    limit.isOverdue = true;
    limit.end();
  }
  lookLater(attempts);
}
