import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../../src/storage/database.ts";
import type { Findings } from "./findings.ts";

/** What is still to be done. */
type Unfinished = { posts: number; batches: number; erasures: number; deliveries: number; resting: number };

const lookEveryMs = 1_000;

/**
 * Waits until nothing is left to do, with all faults over, or until nothing has been done for a while: a slow machine may
 * take long. Retries that are hours ahead are made due: time passes more quickly, and nothing else is touched.
 * @param openPosts messages that no receiver has accepted yet.
 * @param idleSeconds how long nothing may be done.
 * @returns how long it took, in seconds.
 */
export async function settle(
  db: Database,
  openPosts: () => number,
  idleSeconds: number,
  findings: Findings,
): Promise<number> {
  const startedMs = performance.now();
  let leastLeft = Number.POSITIVE_INFINITY;
  let progressMs = startedMs;
  for (;;) {
    const left = await unfinished(db, openPosts());
    const sum = Object.values(left).reduce((total, count) => total + count, 0);
    const nowMs = performance.now();
    const seconds = (nowMs - startedMs) / 1000;
    if (sum === 0) return seconds;
    if (sum < leastLeft) progressMs = nowMs;
    leastLeft = Math.min(leastLeft, sum);
    if (nowMs - progressMs > 1000 * idleSeconds) {
      findings.add("conduct", `never finished, nothing done for ${idleSeconds} s: ${JSON.stringify(left)}`);
      for (const what of await firstWaiting(db)) findings.add("conduct", what);
      return seconds;
    }
    await letTimePass(db);
    await sleep(lookEveryMs);
  }
}

async function unfinished(db: Database, posts: number): Promise<Unfinished> {
  const [row] = await db.query<Omit<Unfinished, "posts">>(
    `select (select count(*)::integer from batches where applied_at is null) as batches,
       (select count(*)::integer from erasures where finished_at is null) as erasures,
       -- Two conditions that have an index each: reading the whole table would take what the workers need.
       (select count(*)::integer from deliveries where state in ('pending', 'retrying'))
         + (select count(*)::integer from deliveries where state = 'leased') as deliveries,
       (select count(*)::integer from webhook_lanes where paused_until > now()) as resting`,
  );
  if (row === undefined) throw new Error("unreachable: a select without from has one row");
  return { posts, ...row };
}

async function firstWaiting(db: Database): Promise<string[]> {
  const rows = await db.query<{ id: string; attempts: number; last_error: string | null }>(
    "select id, attempts, last_error from batches where applied_at is null order by id limit 2",
  );
  return rows.map(
    ({ id, attempts, last_error }) =>
      `batch ${id} waits after ${attempts} attempts; last error: ${last_error}`,
  );
}

async function letTimePass(db: Database): Promise<void> {
  await db.query("update deliveries set due_at = now() where state = 'retrying' and due_at > now()");
  await db.query("update webhook_lanes set paused_until = null where paused_until > now()");
  await db.query(
    "update batches set wake_at = now() where applied_at is null and wake_at > now() + interval '10 seconds'",
  );
}
