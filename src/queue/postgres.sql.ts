import {
  type CountedRequests,
  type RequestsToCount,
  secondsUntilMore,
  windowSeconds,
} from "../domain/request-window.ts";
import type { Database } from "../storage/database.ts";

const currentSecond = "floor(extract(epoch from clock_timestamp()))::bigint";

/** Counts the requests of a key in one statement; the key's row is its lock. */
export async function countInDatabase(
  db: Database,
  keyId: string,
  { passed, waiting, limit }: RequestsToCount,
): Promise<CountedRequests> {
  const [window] = await db.query<{ granted: number; used: number; oldest: number; now: number }>(
    `with counted as (
       insert into request_windows (key_id, seconds, counts, granted)
       select $1, array[${currentSecond}], array[$2::integer + granted], granted
       from (select least($3::integer, greatest(0, $4::integer - $2::integer)) as granted) as room
       on conflict (key_id) do update set (seconds, counts, granted) = (
         with moment as (select ${currentSecond} as second),
         recent as (
           select bucket.second, bucket.count
           from moment, unnest(request_windows.seconds, request_windows.counts) as bucket(second, count)
           where bucket.second > moment.second - ${windowSeconds}),
         room as (
           select least($3, greatest(0, $4 - $2 - coalesce(sum(count), 0)))::integer as granted from recent),
         window_now as (
           select second, sum(count)::integer as count from (
             select second, count from recent
             union all select second, $2 + granted from moment, room where $2 + granted > 0) as bucket
           group by second)
         select coalesce(array_agg(second order by second), '{}'),
           coalesce(array_agg(count order by second), '{}'), (select granted from room) from window_now)
       returning seconds, counts, granted)
     select granted, coalesce((select sum(count) from unnest(counts) as count), 0)::integer as used,
       coalesce(seconds[1], ${currentSecond})::double precision as oldest,
       extract(epoch from clock_timestamp())::double precision as now from counted`,
    [keyId, passed, waiting, limit],
  );
  if (!window) throw new Error("unreachable: an upsert without its row");
  const { granted, used, oldest, now } = window;
  return { granted, used, secondsUntilMore: secondsUntilMore(oldest, now) };
}

/** How many wake-ups wait; null: BullMQ's tables are missing. */
export async function countWaiting(db: Database): Promise<number | null> {
  const [table] = await db.query<{ found: boolean }>("select to_regclass('bullmq.job') is not null as found");
  if (!table?.found) return null;
  const [row] = await db.query<{ count: number }>(
    "select count(*)::integer as count from bullmq.job where state = 'waiting' and queue like 'fanmail-%'",
  );
  return row?.count ?? 0;
}
