import type { Database } from "../src/storage/database.ts";

/** The place in the write-ahead log, in bytes: the difference of two is what was written between them. */
export async function walPosition(db: Database): Promise<number> {
  const [row] = await db.query<{ bytes: number }>(
    "select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 as bytes",
  );
  return row?.bytes ?? 0;
}

/** The size of a table with its indexes, its long values and all its partitions. */
export async function tableBytes(db: Database, table: string): Promise<number> {
  const [row] = await db.query<{ bytes: number }>(
    "select coalesce(sum(pg_total_relation_size(relid)), 0)::float8 as bytes from pg_partition_tree($1)",
    [table],
  );
  // What is no partitioned table has no tree.
  return row?.bytes || plainBytes(db, table);
}

async function plainBytes(db: Database, table: string): Promise<number> {
  const [row] = await db.query<{ bytes: number }>(
    "select pg_total_relation_size($1::regclass)::float8 as bytes",
    [table],
  );
  return row?.bytes ?? 0;
}
