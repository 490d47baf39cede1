import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import {
  originalTiming,
  type PostOptions,
  postNotifications,
  type ReplayCounts,
  type Schedule,
  steadyRate,
} from "./post-notifications.ts";
import { type Prepared, type PrepareOptions, prepareCapture } from "./prepare.ts";
import { captureFiles } from "./read.ts";

export type ReplayOptions = Omit<PrepareOptions, "onBytes" | "stopping"> &
  Pick<PostOptions, "url" | "giveUpAfterMs" | "stopping"> & {
    /** Notifications per second; null: as fast as the receiver accepts them, or as `speed` says. */
    rate: number | null;
    /** A factor: how many times faster than SNS published them. */
    speed?: number | null;
    /** An earlier replay had this many accepted; they are not posted again. */
    after?: number;
    /** @param count the length of the prefix of the capture that has been accepted completely. */
    onTaken?: (count: number) => void;
    /** @param bytesRead of the capture so far. */
    onProgress?: (bytesRead: number, counts: ReplayCounts) => void;
  };

export type ReplaySummary = ReplayCounts & {
  /** Notifications in the capture, without unreadable ones and those left out. */
  read: number;
  /** Left out by the filter. */
  leftOut: number;
  /** Places in the capture that are not JSON, such as `week.ndjson:17`. */
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

/** The length of the prefix that has been accepted completely, while several posts are in flight. */
export type TakenPrefix = {
  /** @param position counted from 1. */
  take(position: number): void;
  /** The prefix never grows past this position, so later ones need not be remembered. */
  fail(position: number): void;
  count(): number;
};

/** @param count how many have been accepted before. */
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

const Place = z.object({ taken: z.int().min(0) });
const writeEveryMs = 1_000;

/** The progress of a replay, kept so that an interrupted one can continue. */
export type ReplayPlace = {
  /** The accepted prefix when an earlier replay ended; 0 when there was none. */
  taken: number;
  /** Written to disk within a second. */
  note(taken: number): void;
  /** Writes the last note, or deletes it when the replay is complete. */
  close(isComplete: boolean): Promise<void>;
};

/**
 * The progress of a replay, in the data directory.
 * @param options what distinguishes replays of the same files: the receiver, the filter.
 */
export async function replayPlace(dataDir: string, path: string, options: object): Promise<ReplayPlace> {
  const key = JSON.stringify([resolve(path), await captureFiles(path), options]);
  const directory = join(dataDir, "replays");
  const file = join(directory, `${createHash("sha256").update(key).digest("hex").slice(0, 32)}.json`);
  const earlier = await takenIn(file);
  let noted: number | null = null;
  let writing = Promise.resolve();
  const write = async () => {
    const taken = noted;
    noted = null;
    if (taken === null) return;
    await mkdir(directory, { recursive: true });
    // Renamed when complete, because the process may be killed at any time.
    await writeFile(`${file}.part`, JSON.stringify({ taken }));
    await rename(`${file}.part`, file);
  };
  // close() reports a failed write.
  const writeNext = () => {
    writing = writing.then(write);
    writing.catch(() => {});
  };
  const timer = setInterval(writeNext, writeEveryMs);
  timer.unref();
  return {
    taken: earlier,
    note(taken) {
      noted = taken;
    },
    async close(isComplete) {
      clearInterval(timer);
      if (!isComplete) writeNext();
      await writing;
      if (isComplete) await rm(file, { force: true });
    },
  };
}

async function takenIn(file: string): Promise<number> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return 0;
    throw error;
  }
  return Place.parse(JSON.parse(text)).taken;
}
