/** When a notification is due, in milliseconds after the first one; asked for each in turn, never goes back. */
export type Schedule = (publishedAt: Date | null) => number;

/** @param perSecond how many, evenly. */
export function steadyRate(perSecond: number): Schedule {
  let count = 0;
  return () => (count++ / perSecond) * 1000;
}

/**
 * As SNS published them. One that was captured late, or does not tell its time, is due with the one before it.
 * @param factor 10 plays ten minutes in one.
 */
export function originalTiming(factor: number): Schedule {
  let first: number | null = null;
  let dueMs = 0;
  return (publishedAt) => {
    if (publishedAt === null) return dueMs;
    first ??= publishedAt.getTime();
    dueMs = Math.max(dueMs, (publishedAt.getTime() - first) / factor);
    return dueMs;
  };
}

/** Where time comes from, and passes. */
export type Pacing = { nowMs(): number; pause(milliseconds: number): Promise<void> };

/** Hands out each when it is due, in their order; those that are overdue at once. */
export async function* paced<Item extends { publishedAt: Date | null }>(
  items: AsyncIterable<Item>,
  schedule: Schedule,
  { nowMs, pause }: Pacing,
): AsyncGenerator<Item> {
  let startedMs: number | null = null;
  for await (const item of items) {
    startedMs ??= nowMs();
    const waitMs = startedMs + schedule(item.publishedAt) - nowMs();
    if (waitMs > 0) await pause(waitMs);
    yield item;
  }
}
