import { dayMs, isoDay } from "../domain/time-text.ts";
import type { Database } from "./database.ts";
import { isPartitionMissing } from "./database-errors.ts";

export type PartitionedTable = "notifications" | "events";

/** Days as `2026-11-22`; the session's time zone is UTC. */
type Range = { name: string; from: string; to: string };

/** A journal partition holds a day, so that retention drops whole days; an events partition holds a month. */
const rangeOf: Record<PartitionedTable, (time: Date) => Range> = {
  notifications: (time) => dayRange(time),
  events: (time) => monthRange(time),
};

/** The number of the day, or of the month. */
const numberOf: Record<PartitionedTable, (time: Date) => number> = {
  notifications: (time) => Math.floor(time.getTime() / dayMs),
  events: (time) => time.getUTCFullYear() * 12 + time.getUTCMonth(),
};

/** Spells "part". */
const partitionLock = 0x70617274;

/**
 * Creates the partitions that times need, and remembers the existing ones. One for each process: `ensure` costs
 * nothing once a partition is known.
 */
export type Partitions = {
  ensure(table: PartitionedTable, times: readonly Date[]): Promise<void>;
  /** Forgets known partitions, because one turned out to be gone. */
  forget(): void;
};

/** @param db the pool: a partition is created in its own transaction, so that no long one holds its lock. */
export function partitionsOf(db: Database): Partitions {
  const known = { notifications: new Set<number>(), events: new Set<number>() };
  return {
    async ensure(table, times) {
      const isKnown = (time: Date) => known[table].has(numberOf[table](time));
      // Nearly always all are known.
      for (const time of times) {
        if (isKnown(time)) continue;
        await create(db, table, rangeOf[table](time));
        known[table].add(numberOf[table](time));
      }
    },
    forget() {
      known.notifications.clear();
      known.events.clear();
    },
  };
}

/**
 * Runs `work` with the partitions that it needs; once more if retention in another process has dropped one that this
 * process remembers. `work` must undo its changes when it fails.
 */
export async function inPartitions<Result>(
  partitions: Partitions,
  table: PartitionedTable,
  times: readonly Date[],
  work: () => Promise<Result>,
): Promise<Result> {
  await partitions.ensure(table, times);
  try {
    return await work();
  } catch (error) {
    if (!isPartitionMissing(error)) throw error;
    partitions.forget();
    await partitions.ensure(table, times);
    return work();
  }
}

/** Days that the journal has a partition for, as `2026-11-24`, in order. */
export async function journalDays(db: Database): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid
     where inhparent = 'notifications'::regclass order by relname`,
  );
  return rows.map(({ name }) => name.replace("notifications_", "").replaceAll("_", "-"));
}

/** The partitions of both tables that times need. */
export function partitionsFor(times: readonly Date[]): string[] {
  const names = Object.values(rangeOf).flatMap((range) => times.map((time) => range(time).name));
  return [...new Set(names)];
}

/** The partition that holds a day of the journal. @param day as `2026-11-24`. */
export function partitionOfDay(day: string): string {
  return dayRange(new Date(`${day}T00:00:00Z`)).name;
}

/**
 * Attaching takes a lock that does not block reads and writes of other partitions; `create table … partition of`
 * would block them.
 */
async function create(db: Database, table: PartitionedTable, { name, from, to }: Range): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.query("select pg_advisory_xact_lock($1)", [partitionLock]);
    const [existing] = await tx.query<{ found: boolean }>("select to_regclass($1) is not null as found", [
      name,
    ]);
    if (existing?.found) return;
    await tx.query(`create table ${name} (like ${table} including all)`);
    await tx.query(`alter table ${table} attach partition ${name} for values from ('${from}') to ('${to}')`);
  });
}

function dayRange(time: Date): Range {
  const start = Date.UTC(time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate());
  const from = isoDay(new Date(start));
  return { name: `notifications_${from.replaceAll("-", "_")}`, from, to: isoDay(new Date(start + dayMs)) };
}

function monthRange(time: Date): Range {
  const [year, month] = [time.getUTCFullYear(), time.getUTCMonth()];
  const from = isoDay(new Date(Date.UTC(year, month)));
  const name = `events_${from.slice(0, 7).replace("-", "_")}`;
  return { name, from, to: isoDay(new Date(Date.UTC(year, month + 1))) };
}
