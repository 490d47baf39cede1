/** Counts how many from the first on are surely taken, while several are under way at once. */
export type TakenPrefix = {
  /** @param position counted from 1. */
  take(position: number): void;
  /** It never counts beyond this one, so that what follows need not be remembered. */
  fail(position: number): void;
  count(): number;
};

/** @param count how many are taken already. */
export function takenPrefix(count: number): TakenPrefix {
  const ahead = new Set<number>();
  let taken = count;
  let failedAt = Number.POSITIVE_INFINITY;
  return {
    take(position) {
      if (position <= taken || position > failedAt) return;
      ahead.add(position);
      while (ahead.delete(taken + 1)) taken++;
    },
    fail(position) {
      failedAt = Math.min(failedAt, position);
      for (const later of ahead) if (later > failedAt) ahead.delete(later);
    },
    count: () => taken,
  };
}
