import { createPostgresBackend, type JobsOptions, Queue, type Telemetry, Worker, withBackend } from "bullmq";
import { Cluster, Redis } from "ioredis";
import { within } from "../clock.ts";
import type { CountRequests } from "../domain/request-window.ts";
import { poolSettings } from "../storage/connection.ts";
import { keyPrefix } from "./jobs.ts";
import { lastingPostgresBackend } from "./postgres.ts";
import { countInRedis } from "./redis.ts";

export type QueueConnection =
  | { kind: "postgres"; url: string }
  | { kind: "redis"; url: string }
  | { kind: "redis-cluster"; nodes: string[] };

/** The parts of a BullMQ queue and worker that are used, whatever they run on. */
export type JobQueue<Data> = {
  addBulk(jobs: { name: string; data: Data; opts: JobsOptions }[]): Promise<unknown>;
  close(): Promise<void>;
};
export type JobWorker = { close(): Promise<void> };

export type QueueDriver = {
  queue<Data>(name: string): JobQueue<Data>;
  /** Runs `work` for each job, `concurrency` at a time. */
  worker<Data>(name: string, concurrency: number, work: (data: Data) => Promise<void>): JobWorker;
  /** Rejects where the queue can never be used; resolves, and tells `onError`, where its server is only away. */
  ready(): Promise<void>;
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
  const connection = { ...queueSettings(url), max: 1, migrate: true };
  const queue = new Queue("fanmail-migrate", { connection });
  // Without a listener an error event would end the process; waitUntilReady rejects with the same error.
  queue.on("error", () => {});
  try {
    await queue.waitUntilReady();
  } finally {
    await queue.close();
  }
}

/** BullMQ's statements are short; a server that has vanished without a word would hold one for a quarter of an hour. */
const statementWithinMs = 30_000;

/** BullMQ adds the search path of its own schema to the options, and makes its connections that listen from them alone. */
function queueSettings(url: string) {
  const { options = "", ...settings } = poolSettings(url, null);
  return { ...settings, options: `${options} -c idle_session_timeout=0`.trim() };
}

function postgresDriver(url: string, onError: OnError, traced: Traced): QueueDriver {
  const { Queue, Worker } = withBackend(lastingPostgresBackend);
  const connection = { ...queueSettings(url), max: 4, query_timeout: statementWithinMs };
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
    countRequests: null,
    disconnect: () => {},
  };
}

/** A wake-up that takes longer is left to the sweep, and an API request is not counted. */
const addWithinMs = 2_500;
const redisReadyWithinMs = 2_000;
/** For a Redis that is frozen; jobs take less, because their posts are broken off. */
const closeWithinMs = 5_000;

type RedisConnection = Exclude<QueueConnection, { kind: "postgres" }>;

function redisDriver(redis: RedisConnection, onError: OnError, traced: Traced): QueueDriver {
  // A wake-up is worth nothing later, because the sweep repeats it, nor is a count: fail at once while Redis is away.
  const forAdding = openRedis(redis, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: addWithinMs,
  });
  const forWorking = openRedis(redis, { enableOfflineQueue: true, maxRetriesPerRequest: null });
  for (const client of [forAdding, forWorking]) client.on("error", onError);
  return {
    queue(name) {
      const queue = new Queue(name, { connection: forAdding, prefix: keyPrefix, ...traced });
      queue.on("error", onError);
      return {
        async addBulk(jobs) {
          // Before it has connected for the first time, BullMQ would wait for as long as that takes.
          if (forAdding.status !== "ready") throw new Error("Redis cannot be reached");
          return queue.addBulk(jobs);
        },
        close: () => queue.close(),
      };
    },
    ready: () => readyInTime([forAdding, forWorking]).catch(onError),
    worker<Data>(name: string, concurrency: number, work: (data: Data) => Promise<void>) {
      const options = { connection: forWorking, concurrency, prefix: keyPrefix, ...takeOver, ...traced };
      const running = new Set<Promise<void>>();
      const tracked = (data: Data) => {
        const job = work(data).finally(() => running.delete(job));
        running.add(job);
        return job;
      };
      const worker = new Worker(name, (job) => tracked(job.data), options);
      worker.on("error", onError).on("failed", (_job, error) => onError(error));
      const close = async () => {
        const closing = worker.close().catch(onError);
        // BullMQ waits for a Redis that is away to come back; the jobs that run do not need it.
        const patience = forWorking.status === "ready" ? closeWithinMs : 0;
        await within(patience, closing, "Redis does not let go of a worker").catch(onError);
        await Promise.allSettled(running);
      };
      let closed: Promise<void> | undefined;
      return {
        close() {
          closed ??= close();
          return closed;
        },
      };
    },
    countRequests: countInRedis(forAdding),
    disconnect() {
      forAdding.disconnect();
      forWorking.disconnect();
    },
  };
}

type RedisOptions = {
  enableOfflineQueue: boolean;
  maxRetriesPerRequest: number | null;
  /** In milliseconds. */
  commandTimeout?: number;
};

function openRedis(
  redis: RedisConnection,
  { enableOfflineQueue, ...redisOptions }: RedisOptions,
): Redis | Cluster {
  return redis.kind === "redis"
    ? new Redis(redis.url, { enableOfflineQueue, ...redisOptions })
    : new Cluster(redis.nodes, { enableOfflineQueue, redisOptions });
}

/** Work goes on without Redis, so that a start does not wait for it for long. */
async function readyInTime(clients: readonly (Redis | Cluster)[]): Promise<void> {
  const ready = clients.map(
    (client) =>
      client.status === "ready" || new Promise((resolve) => client.once("ready", () => resolve(true))),
  );
  const message = "Redis does not answer yet; wake-ups wait until it does";
  await within(redisReadyWithinMs, Promise.all(ready), message);
}
