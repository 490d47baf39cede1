import type { JobsOptions, Telemetry } from "bullmq";
import type { CountRequests } from "../domain/request-window.ts";
import type { Database } from "../storage/database.ts";

/**
 * What the queue runs on. A further backend is one more object of this type, and a line in `queues.ts` that chooses it;
 * `test/queue/conformance.test.ts` says how it must behave.
 */
export type QueueBackend = {
  /** Creates or updates the backend's own tables; does nothing where it has none. */
  migrate(databaseUrl: string): Promise<void>;
  connect(options: ConnectOptions): QueueConnection;
  /** How many connections to the service's database a process may open for it. */
  databaseConnections: number;
  /** For `fanmail doctor`. */
  servers: readonly QueueServer[];
};

/** @property subject completes "Doctor could not look at …". */
export type QueueServer = { subject: string } & (
  | { isDatabase: true; health(db: Database): Promise<QueueHealth> }
  | { isDatabase: false; health(timeoutMs: number): Promise<QueueHealth> }
);

/** What a server reports about itself; it holds no password. */
export type QueueHealth =
  /** @property waiting how many wake-ups wait; null: BullMQ's tables are missing. */
  | { kind: "bullmq"; waiting: number | null }
  | ({ kind: "redis"; place: string } & RedisHealth)
  | { kind: "unreachable-redis"; place: string; reason: string };

/** A Redis server, of a cluster too; null where it reports nothing. */
export type RedisHealth = {
  version: string;
  /** What it does when its memory is full. */
  evictionPolicy: string | null;
  isAppendOnly: boolean;
  usedBytes: number;
  /** 0: as much as the machine has. */
  limitBytes: number;
  /** `ok` or `fail`; null outside a cluster. */
  clusterState: string | null;
  /** Waiting wake-ups; null on a node that does not hold their queues. */
  waiting: number | null;
};

export type ConnectOptions = {
  /** The service's database, for backends that run in it. */
  database: { url: string; db: Database };
  /** Called for lost connections, which BullMQ restores by itself, and for failed jobs. */
  onError: (error: Error) => void;
  traced: Traced;
};

/** For BullMQ; nothing without traces. */
export type Traced = { telemetry?: Telemetry };

export type QueueConnection = {
  queue<Data>(name: string): JobQueue<Data>;
  /** Runs `work` for each job, `concurrency` at a time. */
  worker<Data>(name: string, concurrency: number, work: (data: Data) => Promise<void>): JobWorker;
  /** Rejects if the queue can never be used; resolves, and calls `onError`, if its server is only away. */
  ready(): Promise<void>;
  /** Counts the requests of API keys. */
  countRequests: CountRequests;
  /** Closes the connections that queues and workers share. */
  disconnect(): void;
};

/** The parts of a BullMQ queue and worker that are used. */
export type JobQueue<Data> = {
  addBulk(jobs: { name: string; data: Data; opts: JobsOptions }[]): Promise<unknown>;
  close(): Promise<void>;
};
/** @property close takes no more jobs, and resolves when those that run have finished. */
export type JobWorker = { close(): Promise<void> };

/**
 * How soon a worker continues when the backend is back, and how soon another process takes over the jobs of one that was
 * killed: until then the lanes that it was working on are blocked. Both a batch and a delivery are fenced in Postgres, so a
 * process that only paused does no harm.
 */
export const takeOver = { lockDuration: 6_000, stalledInterval: 1_000, runRetryDelay: 1_000 };
