import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startEmbeddedPostgres } from "../../src/embedded/embedded-postgres.ts";
import { migrationsDirectory } from "../../src/package-info.ts";
import { postgresBackend } from "../../src/queue/postgres.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { migrate } from "../../src/storage/migrate.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** A migrated database to clone; its server allows databases to be made. */
    templateUrl: string;
  }
}

/** Tests about what survives a crash start a server of their own. */
const settings = {
  max_connections: "300",
  synchronous_commit: "off",
  full_page_writes: "off",
  autovacuum: "off",
  fsync: "off",
  max_wal_size: "4GB",
};

/** One PostgreSQL for the whole run; each test file works in a clone of its migrated database. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), "fanmail-test-"));
  // Root's PostgreSQL runs as another user, who must be able to enter.
  await chmod(dataDir, 0o755);
  const server = await startEmbeddedPostgres({ dataDir, settings });
  const db = openDatabase(server.url, { maxConnections: 1, onIdleError: () => {} });
  await migrate(db, migrationsDirectory);
  await db.close();
  await postgresBackend.migrate(server.url);
  project.provide("templateUrl", server.url);
  return async () => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
}
