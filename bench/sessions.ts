import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../src/storage/database.ts";
import { serviceSessions } from "./stage.ts";

/**
 * What the sessions of the services did while they were watched.
 * @property most connections at the same time.
 * @property waiting for a lock, on average: of a row, a table or another transaction.
 */
export type Sessions = { most: number; waiting: number };

const lookEveryMs = 50;

/** Watches the services' sessions during `work`. */
export async function watchedSessions<Result>(
  db: Database,
  work: () => Promise<Result>,
): Promise<{ result: Result; sessions: Sessions }> {
  const over = new AbortController();
  const [sessions, result] = await Promise.all([watch(db, over.signal), work().finally(() => over.abort())]);
  return { result, sessions };
}

async function watch(db: Database, over: AbortSignal): Promise<Sessions> {
  let [most, waiting, looks] = [0, 0, 0];
  while (!over.aborted) {
    const [now] = await db.query<Sessions>(
      `select count(*)::integer as most,
         (count(*) filter (where wait_event_type = 'Lock'))::integer as waiting
       from pg_stat_activity where application_name = $1`,
      [serviceSessions],
    );
    most = Math.max(most, now?.most ?? 0);
    waiting += now?.waiting ?? 0;
    looks++;
    await sleep(lookEveryMs);
  }
  return { most, waiting: waiting / Math.max(1, looks) };
}

/** Transactions of the database that were rolled back, and deadlocks; sessions report them at the latest when they end. */
export type Troubles = { rollbacks: number; deadlocks: number };

export async function troubles(db: Database): Promise<Troubles> {
  const [row] = await db.query<Troubles>(
    `select xact_rollback::float8 as rollbacks, deadlocks::float8 as deadlocks
     from pg_stat_database where datname = current_database()`,
  );
  return row ?? { rollbacks: 0, deadlocks: 0 };
}
