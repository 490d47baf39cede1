import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readEncryptionKeys } from "../../src/data-dir.ts";
import { attachEmbeddedPostgres } from "../../src/embedded/embedded-postgres.ts";
import { findPostmaster } from "../../src/embedded/postmaster.ts";
import { migrationsDirectory } from "../../src/package-info.ts";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { migrate } from "../../src/storage/migrate.ts";
import type { Ended } from "../support/command.ts";
import { dataDirectory } from "../support/fanmail-process.ts";
import { addEncrypted, type KnownEndpoint, rotate } from "./encrypted-endpoints.ts";

/** A data directory with the key that Fanmail generated, and with an embedded database. */
export type KeyDirectory = {
  path: string;
  /** That of the keys. */
  file: string;
  keysNow(): Promise<Buffer[]>;
  /** Uses the database, which is started for it when it does not run. */
  withDatabase<Result>(work: (db: Database) => Promise<Result>): Promise<Result>;
  addSome(count: number): Promise<KnownEndpoint[]>;
  /** Rotates, with every key that there is now being kept secret. */
  rotated(...args: string[]): Promise<Ended>;
  remove(): Promise<void>;
};

export async function keyDirectory(): Promise<KeyDirectory> {
  const { path, remove } = await dataDirectory();
  const file = join(path, "encryption.key");
  const keysNow = () => readEncryptionKeys(path);
  const withDatabase: KeyDirectory["withDatabase"] = async (work) => {
    const server = await attachEmbeddedPostgres({ dataDir: path });
    const db = openDatabase(server.url, { maxConnections: 5, onIdleError: () => {} });
    try {
      await migrate(db, migrationsDirectory);
      return await work(db);
    } finally {
      await db.close();
      await server.stop();
    }
  };
  return {
    path,
    file,
    keysNow,
    withDatabase,
    async addSome(count) {
      const keys = await keysNow();
      return withDatabase((db) => Promise.all(Array.from({ length: count }, () => addEncrypted(db, keys))));
    },
    async rotated(...args) {
      const before = await readFile(file, "utf8");
      return rotate({ DATA_DIR: path }, before.split("\n").filter(Boolean), ...args);
    },
    async remove() {
      const left = await findPostmaster(join(path, "postgres/data"));
      if (left !== null) process.kill(left.pid, "SIGQUIT");
      await remove();
    },
  };
}
