import { setTimeout } from "node:timers/promises";
import {
  assertSchemaCompatibility,
  type createPostgresBackend,
  PostgresConnection,
  PostgresQueueBackend,
} from "bullmq";
import type { CountRequests } from "../domain/request-window.ts";
import type { Database } from "../storage/database.ts";
import { countInDatabase } from "./request-windows.sql.ts";

const pauseAfterErrorMs = 1_000;

/** BullMQ's own keeps the first failure to connect for good, so that nothing would be worked off any more. */
class LastingConnection extends PostgresConnection {
  #ready: Promise<void> | undefined;

  override waitUntilReady(): Promise<void> {
    this.#ready ??= this.#open().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #open(): Promise<void> {
    const client = await this.pool.connect();
    try {
      await assertSchemaCompatibility(client, this.schema);
    } finally {
      client.release();
    }
  }
}

/**
 * BullMQ's worker asks for the next job again at once after any error but a refused connection. Where errors come without
 * waiting for anything, as while file descriptors are short, nothing else in the process would run any more.
 */
class PatientBackend extends PostgresQueueBackend {
  override async moveToActive(...job: Parameters<PostgresQueueBackend["moveToActive"]>) {
    try {
      return await super.moveToActive(...job);
    } catch (error) {
      await setTimeout(pauseAfterErrorMs);
      throw error;
    }
  }
}

/** BullMQ on PostgreSQL, for queues and workers that outlive troubles of the database. */
export const lastingPostgresBackend: typeof createPostgresBackend = (name, options) =>
  new PatientBackend(new LastingConnection(options.connection), name, options);

/** Counts requests in the database, where there is no Redis to do it. */
export function countInPostgres(db: Database): CountRequests {
  return (keyId, requests) => countInDatabase(db, keyId, requests);
}
