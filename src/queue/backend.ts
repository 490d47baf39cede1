import { createPostgresBackend, type JobsOptions, Queue, type Telemetry, Worker, withBackend } from "bullmq";
import { Cluster, Redis } from "ioredis";
import type { CountRequests } from "../domain/request-window.ts";
import { keyPrefix } from "./jobs.ts";
import { lastingPostgresBackend } from "./postgres-backend.ts";
import { countInRedis } from "./request-windows.ts";

export type QueueConnection =
  | { kind: "postgres"; url: string }
  | { kind: "redis"; url: string }
  | { kind: "redis-cluster"; nodes: string[] };

/** The parts of a BullMQ queue and worker that are used, whatever they run on. */
export type JobQueue<Data> = {
  addBulk(jobs: { name: string; data: Data; opts: JobsOptions }[]): Promise<unknown>;
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
};
export type JobWorker = { close(): Promise<void> };

export type QueueDriver = {
  queue<Data>(name: string): JobQueue<Data>;
  /** Runs `work` for each job, `concurrency` at a time. */
  worker<Data>(name: string, concurrency: number, work: (data: Data) => Promise<void>): JobWorker;
  /** Counts the requests of API keys; null where there is no Redis. */
  countRequests: CountRequests | null;
  /** Ends connections that queues and workers share. */
  disconnect(): void;
};

/** Told of lost connections, which BullMQ makes again by itself, and of jobs that failed. */
type OnError = (error: Error) => void;

/**
 * How soon a worker goes on when the queue is back, and how soon another process takes over the jobs of one that was
 * killed: until then the lanes that it was working at are blocked. Both a batch and a delivery are fenced in Postgres, so
 * that a process that only paused does no harm.
 */
const takeOver = { lockDuration: 6_000, stalledInterval: 1_000, runRetryDelay: 1_000 };

/** Of BullMQ: nothing where nothing is traced. */
export type Traced = { telemetry?: Telemetry };

export function queueDriver(connection: QueueConnection, onError: OnError, traced: Traced): QueueDriver {
  return connection.kind === "postgres"
    ? postgresDriver(connection.url, onError, traced)
    : redisDriver(connection, onError, traced);
}

/** Makes or updates BullMQ's own tables, in the schema `bullmq`. */
export async function migrateQueues(url: string): Promise<void> {
  const { Queue } = withBackend(createPostgresBackend);
  const queue = new Queue("fanmail-migrate", {
    connection: { connectionString: url, max: 1, migrate: true },
  });
  // Without a listener an error event would end the process; waitUntilReady rejects with the same error.
  queue.on("error", () => {});
  try {
    await queue.waitUntilReady();
  } finally {
    await queue.close();
  }
}

function postgresDriver(url: string, onError: OnError, traced: Traced): QueueDriver {
  const { Queue, Worker } = withBackend(lastingPostgresBackend);
  const connection = { connectionString: url, max: 4, connectionTimeoutMillis: 3_000 };
  return {
    queue(name) {
      const queue = new Queue(name, { connection, ...traced });
      return queue.on("error", onError);
    },
    worker(name, concurrency, work) {
      const options = { connection, concurrency, ...takeOver, ...traced };
      const worker = new Worker(name, (job) => work(job.data), options);
      return worker.on("error", onError).on("failed", (_job, error) => onError(error));
    },
    countRequests: null,
    disconnect: () => {},
  };
}

type RedisConnection = Exclude<QueueConnection, { kind: "postgres" }>;

function redisDriver(redis: RedisConnection, onError: OnError, traced: Traced): QueueDriver {
  // A wake-up is worth nothing later, because the sweep repeats it, nor is a count: fail at once while Redis is away.
  const forAdding = openRedis(redis, { enableOfflineQueue: false, maxRetriesPerRequest: 1 });
  const forWorking = openRedis(redis, { enableOfflineQueue: true, maxRetriesPerRequest: null });
  for (const client of [forAdding, forWorking]) client.on("error", onError);
  return {
    queue(name) {
      const queue = new Queue(name, { connection: forAdding, prefix: keyPrefix, ...traced });
      return queue.on("error", onError);
    },
    worker(name, concurrency, work) {
      const options = { connection: forWorking, concurrency, prefix: keyPrefix, ...takeOver, ...traced };
      const worker = new Worker(name, (job) => work(job.data), options);
      return worker.on("error", onError).on("failed", (_job, error) => onError(error));
    },
    countRequests: countInRedis(forAdding),
    disconnect() {
      forAdding.disconnect();
      forWorking.disconnect();
    },
  };
}

function openRedis(
  redis: RedisConnection,
  {
    enableOfflineQueue,
    maxRetriesPerRequest,
  }: { enableOfflineQueue: boolean; maxRetriesPerRequest: number | null },
): Redis | Cluster {
  return redis.kind === "redis"
    ? new Redis(redis.url, { enableOfflineQueue, maxRetriesPerRequest })
    : new Cluster(redis.nodes, { enableOfflineQueue, redisOptions: { maxRetriesPerRequest } });
}
