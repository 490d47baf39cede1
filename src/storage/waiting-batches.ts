import type { Database } from "./database.ts";

/** Postpones a batch after a failure: by a second, doubling up to five minutes. */
export async function postponeBatch(db: Database, batchId: string, error: string): Promise<void> {
  await db.query(
    `update batches set attempts = attempts + 1, last_error = $2,
       wake_at = now() + least(interval '5 minutes', interval '1 second' * 2 ^ least(attempts, 10))
     where id = $1 and applied_at is null`,
    [batchId, error],
  );
}

/** Makes a batch due for the next sweep, after a failure that was none of the batch. */
export async function retrySoon(db: Database, batchId: string, error: string): Promise<void> {
  await db.query("update batches set wake_at = now(), last_error = $2 where id = $1 and applied_at is null", [
    batchId,
    error,
  ]);
}

/** The batch that has been waiting longest, of those that have never failed and that no worker has taken. */
export async function nextWaiting(db: Database): Promise<string | null> {
  const [next] = await db.query<{ id: string }>(
    `select id from batches where applied_at is null and attempts = 0
     order by wake_at, id limit 1 for update skip locked`,
  );
  return next?.id ?? null;
}

/**
 * Whether a worker has been woken for an older batch that is still waiting; when it has applied that one, it looks for more,
 * and finds this batch too. Of any waiting batches the oldest has no such batch, so a worker is woken for it. Call it after
 * the commit of the batch: a worker that looks later sees it then.
 */
export async function isAnotherAwaited(db: Database, batchId: string): Promise<boolean> {
  const found = await db.query(
    "select 1 from batches where applied_at is null and attempts = 0 and id < $1::uuid limit 1",
    [batchId],
  );
  return found.length > 0;
}

/** Interval at which a waiting batch is woken again. */
const wakeAgainSeconds = 10;
/** A worker that is woken applies all batches that have never failed; a few wake-ups bring idle workers in. */
const wakeUpsAtOnce = 4;

/**
 * Takes batches to wake workers for: they are due but not applied, because a wake-up was lost, there are more than the woken
 * workers manage, or they failed before. They are not returned again for a while. Call it before waking: a quick worker
 * would otherwise find the row locked and skip the batch.
 */
export async function takeBatchesToWake(db: Database, limit: number): Promise<string[]> {
  const rows = await db.query<{ id: string }>(
    `with failed as (
       select id from batches where applied_at is null and attempts > 0 and wake_at <= now()
       order by wake_at limit $1 for update skip locked
     ), others as (
       select id from batches where applied_at is null and attempts = 0 and wake_at <= now()
       order by wake_at limit $2 for update skip locked
     )
     update batches set wake_at = now() + $3 * interval '1 second'
     where id in (select id from failed union all select id from others) returning id`,
    [limit, Math.min(limit, wakeUpsAtOnce), wakeAgainSeconds],
  );
  return rows.map(({ id }) => id);
}

/** Makes batches due for the next sweep, because waking failed. */
export async function wakeSoon(db: Database, batchIds: readonly string[]): Promise<void> {
  await db.query(
    `update batches set wake_at = now() where id in (
       select id from batches where id = any($1::uuid[]) and applied_at is null order by id for update)`,
    [batchIds],
  );
}
