const dayMs = 86_400_000;

/** How far the journal reaches back, and when it was read. */
export type JournalReach = {
  /** Days that it has a partition for, as `2026-11-24`. */
  days: ReadonlySet<string>;
  /** Retention has dropped days before this time. One may be there again, in part, after a replay. */
  droppedBefore: Date | null;
  readAt: Date;
};

/**
 * Whether the journal holds everything that was published about a time: its whole day and, because SES publishes
 * an event some time after it happens, the day after.
 */
export function reachesTo({ days, droppedBefore, readAt }: JournalReach, time: Date): boolean {
  const isDropped = droppedBefore !== null && time < droppedBefore;
  const dayAfter = new Date(time.getTime() + dayMs);
  const hasDayAfter = days.has(isoDay(dayAfter)) || dayAfter > readAt;
  return !isDropped && days.has(isoDay(time)) && hasDayAfter;
}

function isoDay(time: Date): string {
  return time.toISOString().slice(0, 10);
}
