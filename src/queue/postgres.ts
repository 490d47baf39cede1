import { setTimeout } from "node:timers/promises";
import { poolSettings } from "../storage/connection.ts";
import { type ConnectOptions, type QueueBackend, type QueueConnection, takeOver } from "./backend.ts";
import {
  assertSchemaCompatibility,
  createPostgresBackend,
  PostgresConnection,
  PostgresQueueBackend,
  withBackend,
} from "./bullmq.ts";
import { countInDatabase, countWaiting } from "./postgres.sql.ts";

/** BullMQ in the service's own database, in the schema `bullmq`. */
export const postgresBackend: QueueBackend = {
  migrate,
  connect,
  databaseConnections: 16,
  servers: [
    {
      subject: "BullMQ's tables",
      isDatabase: true,
      health: async (db) => ({ kind: "bullmq", waiting: await countWaiting(db) }),
    },
  ],
};

async function migrate(databaseUrl: string): Promise<void> {
  const { Queue } = withBackend(createPostgresBackend);
  const connection = { ...connectionSettings(databaseUrl), max: 1, migrate: true };
  const queue = new Queue("fanmail-migrate", { connection });
  // Without a listener an error event would end the process; waitUntilReady rejects with the same error.
  queue.on("error", () => {});
  try {
    await queue.waitUntilReady();
  } finally {
    await queue.close();
  }
}

/** BullMQ's statements are short; without a timeout a server that vanished silently would hold one for 15 minutes. */
const statementWithinMs = 10_000;

function connect({ database, onError, traced }: ConnectOptions): QueueConnection {
  const { Queue, Worker } = withBackend(lastingBackend);
  const connection = { ...connectionSettings(database.url), max: 4, query_timeout: statementWithinMs };
  const queues: { waitUntilReady(): Promise<unknown> }[] = [];
  return {
    queue(name) {
      const queue = new Queue(name, { connection, ...traced });
      queues.push(queue);
      return queue.on("error", onError);
    },
    async ready() {
      await Promise.all(queues.map((queue) => queue.waitUntilReady()));
    },
    worker(name, concurrency, work) {
      const options = { connection, concurrency, ...takeOver, ...traced };
      const worker = new Worker(name, (job) => work(job.data), options);
      return worker.on("error", onError).on("failed", (_job, error) => onError(error));
    },
    countRequests: (keyId, requests) => countInDatabase(database.db, keyId, requests),
    disconnect: () => {},
  };
}

/** BullMQ adds its schema's search path to the options, and opens its listening connections from them alone. */
function connectionSettings(url: string) {
  const { options = "", ...settings } = poolSettings(url, null);
  return { ...settings, options: `${options} -c idle_session_timeout=0`.trim() };
}

/** BullMQ on PostgreSQL, for queues and workers that outlive database outages. */
const lastingBackend: typeof createPostgresBackend = (name, options) =>
  new PatientBackend(new LastingConnection(options.connection), name, options);

/** BullMQ's own connection keeps its first failure to connect for good, so no job would ever run again. */
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
    // An error event without a listener ends the process; the running query reports the same error.
    client.on("error", () => {});
    try {
      await assertSchemaCompatibility(client, this.schema);
    } finally {
      client.release();
    }
  }
}

const pauseAfterErrorMs = 1_000;

/**
 * After any error except a refused connection BullMQ's worker asks for the next job at once. When errors come without any
 * wait, as while file descriptors are short, nothing else in the process would run.
 */
class PatientBackend extends PostgresQueueBackend {
  /** BullMQ's own keeps its first failure too, and each job that is done would count as failed. */
  override async waitUntilReady(): Promise<void> {
    await this.connection.waitUntilReady();
    return super.waitUntilReady();
  }

  override async moveToActive(...job: Parameters<PostgresQueueBackend["moveToActive"]>) {
    try {
      return await super.moveToActive(...job);
    } catch (error) {
      await setTimeout(pauseAfterErrorMs);
      throw error;
    }
  }
}
