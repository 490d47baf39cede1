import { setTimeout as sleep } from "node:timers/promises";
import { residentBytes } from "../../bench/memory.ts";
import type { Database } from "../../src/storage/database.ts";
import type { Stage, StagedService } from "../stage/stage.ts";

/** What is seen from outside while everything works. Times are milliseconds since 1970. */
export type Monitor = {
  /** The most resident memory of a process of each role, in bytes. */
  peakBytes: ReadonlyMap<string, number>;
  /** When everything was up to date. */
  currentAtMs: readonly number[];
  stop(): Promise<void>;
};

const lookEveryMs = 250;
/** What waits for less is up to date: a sweep runs each second. */
const currentWithinSeconds = 2;
const behindAfterSeconds = 5;

/** @param onProgress called when notifications wait for long, and when they do not any more. */
export function startMonitor(stage: Stage, onProgress: (line: string) => void): Monitor {
  const peakBytes = new Map<string, number>();
  const currentAtMs: number[] = [];
  const stopped = new AbortController();
  let isBehind = false;
  const noteLag = async () => {
    const waited = await secondsWaited(stage.db);
    if (waited < currentWithinSeconds) currentAtMs.push(Date.now());
    if (waited >= behindAfterSeconds === isBehind) return;
    isBehind = !isBehind;
    onProgress(isBehind ? "  behind" : "  up to date");
  };
  const noteMemory = async (service: StagedService) => {
    const pid = service.pid();
    const bytes = pid === null ? 0 : await residentBytes(pid).catch(() => 0);
    peakBytes.set(service.role, Math.max(bytes, peakBytes.get(service.role) ?? 0));
  };
  const watch = async () => {
    while (!stopped.signal.aborted) {
      await noteLag();
      for (const service of stage.services) await noteMemory(service);
      await sleep(lookEveryMs);
    }
  };
  const watching = watch();
  return {
    peakBytes,
    currentAtMs,
    async stop() {
      stopped.abort();
      await watching;
    },
  };
}

/** How long the oldest notification waits; Infinity while PostgreSQL does not answer. */
async function secondsWaited(db: Database): Promise<number> {
  try {
    const [row] = await db.query<{ seconds: number }>(
      `select coalesce(extract(epoch from now() - min(received_at)), 0)::float as seconds
       from batches where applied_at is null`,
    );
    return row?.seconds ?? 0;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** How long after each of these times everything was up to date again, in milliseconds. */
export function recoveryTimes({ currentAtMs }: Monitor, endedAtMs: readonly number[]): number[] {
  return endedAtMs.flatMap((endMs) => {
    const nextMs = currentAtMs.find((atMs) => atMs >= endMs);
    return nextMs === undefined ? [] : [nextMs - endMs];
  });
}
