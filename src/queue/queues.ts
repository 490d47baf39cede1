import type { CountRequests } from "../domain/request-window.ts";
import type { Lane } from "../domain/webhooks/owed.ts";
import type { ConnectOptions, JobQueue, JobWorker, QueueBackend, Traced } from "./backend.ts";
import { type ApplyJob, applyOptions, deliverOptions, queueNames } from "./jobs.ts";

/**
 * Loads the backend, and only that: each brings a client that is slow to load.
 * @param redisUrls of one server or of the nodes of a cluster; none: the queue runs in the service's database.
 */
export async function chooseBackend(redisUrls: readonly string[]): Promise<QueueBackend> {
  if (redisUrls.length > 0) return (await import("./redis.ts")).redisBackend(redisUrls);
  return (await import("./postgres.ts")).postgresBackend;
}

/** Wakes workers, and lets workers be woken. */
export type Queues = {
  /** Counts the requests of API keys, for all processes together. */
  countRequests: CountRequests;
  wakeApply(jobs: readonly ApplyJob[]): Promise<void>;
  wakeDeliver(lanes: readonly Lane[]): Promise<void>;
  /** Runs `work` for each job of a queue, `concurrency` at a time, until `close`. */
  onApply(concurrency: number, work: (job: ApplyJob) => Promise<void>): void;
  onDeliver(concurrency: number, work: (lane: Lane) => Promise<void>): void;
  /** Takes no more jobs, and resolves when those that run have finished. */
  stopWorking(): Promise<void>;
  /** Stops working, then disconnects. */
  close(): Promise<void>;
};

/** @property isTraced whether there is an OpenTelemetry that takes BullMQ's spans. */
export type QueuesOptions = Omit<ConnectOptions, "traced"> & { isTraced?: boolean };

/** Migrates the backend and connects to it. Redis may be away: that is reported, and it is used once it is there. */
export async function openQueues(
  backend: QueueBackend,
  { database, onError, isTraced = false }: QueuesOptions,
): Promise<Queues> {
  await backend.migrate(database.url);
  const connection = backend.connect({ database, onError, traced: isTraced ? await telemetry() : {} });
  const apply: JobQueue<ApplyJob> = connection.queue(queueNames.apply);
  const deliver: JobQueue<Lane> = connection.queue(queueNames.deliver);
  const workers: JobWorker[] = [];
  await connection.ready();

  function work<Data>(name: string, concurrency: number, run: (data: Data) => Promise<void>): void {
    workers.push(connection.worker(name, concurrency, run));
  }

  const stopWorking = async () => {
    await Promise.all(workers.map((worker) => worker.close()));
  };

  return {
    countRequests: connection.countRequests,
    stopWorking,
    async wakeApply(jobs) {
      await apply.addBulk(jobs.map((data) => ({ name: "apply", data, opts: applyOptions })));
    },
    async wakeDeliver(lanes) {
      await deliver.addBulk(lanes.map((data) => ({ name: "deliver", data, opts: deliverOptions(data) })));
    },
    onApply: (concurrency, run) => work(queueNames.apply, concurrency, run),
    onDeliver: (concurrency, run) => work(queueNames.deliver, concurrency, run),
    async close() {
      await stopWorking();
      await Promise.all([apply.close(), deliver.close()]);
      connection.disconnect();
    },
  };
}

/** Queues that are opened on first use; until then what they are made of is not loaded. */
export type LazyQueues = Queues & {
  /** Opens them now. Rejects if they can never be used. */
  open(): Promise<void>;
};

export function lazyQueues(open: () => Promise<Queues>): LazyQueues {
  let opening: Promise<Queues> | undefined;
  const opened = () => {
    opening ??= open();
    return opening;
  };
  const usable = async () => opening?.catch(() => null);
  return {
    open: async () => void (await opened()),
    countRequests: async (keyId, requests) => (await opened()).countRequests(keyId, requests),
    wakeApply: async (jobs) => (await opened()).wakeApply(jobs),
    wakeDeliver: async (lanes) => (await opened()).wakeDeliver(lanes),
    onApply: async (concurrency, work) => (await opened()).onApply(concurrency, work),
    onDeliver: async (concurrency, work) => (await opened()).onDeliver(concurrency, work),
    stopWorking: async () => (await usable())?.stopWorking(),
    close: async () => (await usable())?.close(),
  };
}

/** Loads OpenTelemetry, which only tracing needs. */
async function telemetry(): Promise<Traced> {
  const { queueTelemetry } = await import("./telemetry.ts");
  return { telemetry: queueTelemetry() };
}
