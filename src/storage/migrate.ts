import { readdir, readFile } from "node:fs/promises";
import type { Database } from "./database.ts";

/** Spells "fanm"; any constant that nothing else in the database uses. */
const migrationLock = 0x66616e6d;

/**
 * Migrates the schema: applies the files of `directory` that were not applied yet, in order and in one transaction.
 * Processes that start together wait for one another.
 *
 * @returns the names of the files that were applied now.
 * @throws if an applied file is missing: the database belongs to a newer version of the program.
 */
export async function migrate(db: Database, directory: URL): Promise<string[]> {
  const files = (await readdir(directory)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).sort();
  return db.transaction(async (tx) => {
    // Changing a large table may exceed the service's statement timeout.
    await tx.query("set local statement_timeout = 0");
    await tx.query("select pg_advisory_xact_lock($1)", [migrationLock]);
    await tx.query(
      "create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())",
    );
    const applied = await tx.query<{ name: string }>("select name from migrations");
    const known = new Set(applied.map(({ name }) => name));
    assertNotNewer(known, files);
    const pending = files.filter((name) => !known.has(name));
    for (const name of pending) await apply(tx, directory, name);
    return pending;
  });
}

/** False in a database that the service has never used. */
export async function hasSchema(db: Database): Promise<boolean> {
  const [found] = await db.query<{ has_schema: boolean }>(
    "select to_regclass('migrations') is not null as has_schema",
  );
  return found?.has_schema === true;
}

function assertNotNewer(applied: Set<string>, files: string[]): void {
  const unknown = [...applied].filter((name) => !files.includes(name));
  if (unknown.length === 0) return;
  throw new Error(
    `The database has been migrated by a newer version of fanmail (${unknown.join(", ")}): run that version, or restore a backup`,
  );
}

async function apply(tx: Database, directory: URL, name: string): Promise<void> {
  try {
    await tx.query(await readFile(new URL(name, directory), "utf8"));
    await tx.query("insert into migrations (name) values ($1)", [name]);
  } catch (error) {
    throw new Error(`Migration ${name} failed; nothing was changed`, { cause: error });
  }
}
