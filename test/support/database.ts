import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { type DatabasePool, openDatabase } from "../../src/storage/database.ts";

export type TestDatabase = {
  url: string;
  db: DatabasePool;
  /** Ends all connections and lets no new ones in. */
  block(): Promise<void>;
  unblock(): Promise<void>;
  drop(): Promise<void>;
};

/** A migrated database of its own. */
export async function testDatabase(): Promise<TestDatabase> {
  const template = new URL(inject("templateUrl"));
  const name = `test_${randomBytes(6).toString("hex")}`;
  await administer(`create database ${name} template ${template.pathname.slice(1)}`);
  const url = new URL(template);
  url.pathname = `/${name}`;
  const db = openDatabase(url.href, { maxConnections: 5, onIdleError: () => {} });
  return {
    url: url.href,
    db,
    async block() {
      await administer(`alter database ${name} allow_connections false`);
      await administer(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    },
    unblock: () => administer(`alter database ${name} allow_connections true`),
    async drop() {
      await db.close();
      await administer(`drop database ${name} with (force)`);
    },
  };
}

async function administer(sql: string): Promise<void> {
  const url = new URL(inject("templateUrl"));
  url.pathname = "/postgres";
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    // Only one database can be made from a template at a time.
    await client.query("select pg_advisory_lock(1)");
    await client.query(sql);
  } finally {
    await client.end();
  }
}
