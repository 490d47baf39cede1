import { waitsOf } from "../clock.ts";

/** What ends an attempt. */
type AttemptLimit = {
  /** Called when the attempt's time is over, or when the process stops; not after `release`. */
  end: () => void;
  isOverdue: boolean;
  release: () => void;
};

type Attempts = {
  underWay: Set<AttemptLimit>;
  beginWait: ReturnType<typeof waitsOf>;
};

/** By the signal that stops them, and by their time. */
const attemptsBySignal = new WeakMap<AbortSignal, Map<number, Attempts>>();

/**
 * Ends an attempt after so many milliseconds, or when `stopping` aborts. All attempts share one listener and one timer: of
 * their own they cost as much as a signature. `AbortSignal.any` would leak memory for every attempt until the process ends,
 * because `stopping` lives that long.
 */
export function limitAttempt(stopping: AbortSignal, milliseconds: number): AttemptLimit {
  const { underWay, beginWait } = attemptsOf(stopping, milliseconds);
  const releaseWait = beginWait(() => {
    underWay.delete(limit);
    limit.isOverdue = true;
    limit.end();
  });
  const limit: AttemptLimit = {
    isOverdue: false,
    end: () => {},
    release() {
      underWay.delete(limit);
      releaseWait();
    },
  };
  underWay.add(limit);
  return limit;
}

function attemptsOf(stopping: AbortSignal, milliseconds: number): Attempts {
  const byTime = attemptsBySignal.get(stopping) ?? new Map<number, Attempts>();
  attemptsBySignal.set(stopping, byTime);
  const known = byTime.get(milliseconds);
  if (known !== undefined) return known;
  const attempts: Attempts = { underWay: new Set(), beginWait: waitsOf(milliseconds) };
  byTime.set(milliseconds, attempts);
  stopping.addEventListener("abort", () => {
    for (const limit of attempts.underWay) limit.end();
  });
  return attempts;
}
