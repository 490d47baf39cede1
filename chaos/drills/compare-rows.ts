import type { Database } from "../../src/storage/database.ts";
import type { Findings } from "../check/findings.ts";

/** Rows of one table that are compared. */
export type Rows = {
  table: string;
  /** Columns that differ rightly, and fields of `detail` as `detail.<name>`. */
  except: readonly string[];
  /** A condition; absent: all rows. */
  where?: string;
};

/** Compares a table of two databases row by row. @returns how many rows the original has. */
export async function compareRows(
  original: Database,
  copy: Database,
  rows: Rows,
  findings: Findings,
): Promise<number> {
  const [wanted, found] = [await readRows(original, rows), await readRows(copy, rows)];
  const left = new Set(found);
  for (const row of wanted)
    if (!left.delete(row)) findings.add("lost", `a row of ${rows.table} is not in the copy: ${row}`);
  for (const row of left) findings.add("differs", `a row of ${rows.table} is only in the copy: ${row}`);
  if (wanted.length !== found.length)
    findings.add("differs", `${rows.table} has ${wanted.length} rows, and the copy ${found.length}`);
  return wanted.length;
}

async function readRows(db: Database, { table, except, where = "true" }: Rows): Promise<string[]> {
  const columns = except.filter((name) => !name.startsWith("detail."));
  const paths = except.filter((name) => name.startsWith("detail.")).map((name) => name.split("."));
  const whole = paths.reduce((json, path) => `(${json} #- '{${path.join(",")}}')`, "to_jsonb(one)");
  const read = await db.query<{ text: string }>(
    `select (${whole} - $1::text[])::text as text from ${table} as one where ${where} order by 1`,
    [columns],
  );
  return read.map(({ text }) => text);
}

/** All tables of the product, without partitions. */
export async function tablesOf(db: Database): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `select relname as name from pg_class
     where relkind in ('r', 'p') and not relispartition and relnamespace = 'public'::regnamespace order by 1`,
  );
  return rows.map(({ name }) => name);
}
