import { setTimeout as sleep } from "node:timers/promises";
import { residentBytes } from "../../bench/memory.ts";
import type { Database } from "../../src/storage/database.ts";
import type { Stage } from "../stage/stage.ts";

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

export function startMonitor(stage: Stage): Monitor {
  const peakBytes = new Map<string, number>();
  const currentAtMs: number[] = [];
  const stopped = new AbortController();
  const watch = async () => {
    while (!stopped.signal.aborted) {
      if (await isCurrent(stage.db)) currentAtMs.push(Date.now());
      for (const service of stage.services) {
        const pid = service.pid();
        const bytes = pid === null ? 0 : await residentBytes(pid).catch(() => 0);
        peakBytes.set(service.role, Math.max(bytes, peakBytes.get(service.role) ?? 0));
      }
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

/** Whether PostgreSQL answers, and no notification waits for long. */
async function isCurrent(db: Database): Promise<boolean> {
  try {
    const [row] = await db.query<{ seconds: number }>(
      `select coalesce(extract(epoch from now() - min(received_at)), 0)::float as seconds
       from batches where applied_at is null`,
    );
    return row !== undefined && row.seconds < currentWithinSeconds;
  } catch {
    return false;
  }
}

/** How long after each of these times everything was up to date again, in milliseconds. */
export function recoveryTimes({ currentAtMs }: Monitor, endedAtMs: readonly number[]): number[] {
  return endedAtMs.flatMap((endMs) => {
    const nextMs = currentAtMs.find((atMs) => atMs >= endMs);
    return nextMs === undefined ? [] : [nextMs - endMs];
  });
}
