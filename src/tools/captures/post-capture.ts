import { type PostOptions, postNotifications, type ReplayCounts } from "./post-notifications.ts";
import { type PrepareOptions, prepareCapture } from "./prepare-capture.ts";
import { originalTiming, type Schedule, steadyRate } from "./schedule.ts";
import type { Prepared } from "./to-envelope.ts";

export type ReplayOptions = Omit<PrepareOptions, "onBytes" | "stopping"> &
  Pick<PostOptions, "url" | "giveUpAfterMs" | "stopping"> & {
    /** Notifications a second; null: as fast as they are taken, or as `speed` says. */
    rate: number | null;
    /** How many times as fast as SNS published them. */
    speed?: number | null;
    /** So many of the capture were taken by an earlier replay, and are not posted again. */
    after?: number;
    /** @param count how many of the capture are surely taken: all of them from the first on. */
    onTaken?: (count: number) => void;
    /** @param bytesRead of the capture, so far. */
    onProgress?: (bytesRead: number, counts: ReplayCounts) => void;
  };

export type ReplaySummary = ReplayCounts & {
  /** Notifications of the capture, the unreadable ones and those that were left out not counted. */
  read: number;
  /** By the filter. */
  leftOut: number;
  /** Where the capture holds something that is no JSON, such as `week.ndjson:17`. */
  unreadable: string[];
};

/** Posts a capture to a receiver. */
export async function replayCapture(options: ReplayOptions): Promise<ReplaySummary> {
  const { url, giveUpAfterMs, stopping, after = 0, onTaken, onProgress } = options;
  const prefix = takenPrefix(after);
  const unreadable: string[] = [];
  let [read, leftOut, bytesRead] = [0, 0, 0];

  async function* posted(): AsyncGenerator<Prepared & { position: number }> {
    const onBytes = (bytes: number) => {
      bytesRead += bytes;
    };
    for await (const placed of prepareCapture({ ...options, onBytes })) {
      if (placed.kind === "notification") {
        read++;
        if (placed.position > after) yield { ...placed.prepared, position: placed.position };
        continue;
      }
      if (placed.kind === "unreadable") unreadable.push(placed.place);
      else leftOut++;
      prefix.take(placed.position);
    }
  }

  const counts = await postNotifications(posted(), {
    url,
    giveUpAfterMs,
    stopping,
    schedule: scheduleOf(options),
    onSettled({ position }, isTaken, now) {
      if (isTaken) prefix.take(position);
      else prefix.fail(position);
      onTaken?.(prefix.count());
      onProgress?.(bytesRead, now);
    },
  });
  return { ...counts, read, leftOut, unreadable };
}

function scheduleOf({ rate, speed = null }: ReplayOptions): Schedule | null {
  if (speed !== null) return originalTiming(speed);
  return rate === null ? null : steadyRate(rate);
}

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
