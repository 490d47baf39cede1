import type { CountRequests } from "../domain/request-window.ts";
import {
  type JobQueue,
  type JobWorker,
  migrateQueues,
  type QueueConnection,
  queueDriver,
  type Traced,
} from "./backend.ts";
import { type ApplyJob, applyOptions, type DeliverJob, deliverOptions, queueNames } from "./jobs.ts";

/** Wakes workers, and lets workers be woken. */
export type Queues = {
  /** Counts the requests of API keys in Redis; null where the queues run on Postgres. */
  countRequests: CountRequests | null;
  wakeApply(jobs: readonly ApplyJob[]): Promise<void>;
  wakeDeliver(jobs: readonly DeliverJob[]): Promise<void>;
  /** Runs `work` for each job of a queue, `concurrency` at a time, until `close`. */
  onApply(concurrency: number, work: (job: ApplyJob) => Promise<void>): void;
  onDeliver(concurrency: number, work: (job: DeliverJob) => Promise<void>): void;
  /** Takes no more jobs, and resolves when those that run have finished. */
  stopWorking(): Promise<void>;
  /** Stops working, then disconnects. */
  close(): Promise<void>;
};

/**
 * Connects, and makes BullMQ's own tables where it runs on Postgres. Redis may be away: it is told, and used once it is there.
 * @param onError told of lost connections (BullMQ connects again by itself) and of jobs that failed.
 * @param isTraced whether there is an OpenTelemetry that takes BullMQ's spans.
 */
export async function openQueues(
  connection: QueueConnection,
  onError: (error: Error) => void,
  isTraced = false,
): Promise<Queues> {
  if (connection.kind === "postgres") await migrateQueues(connection.url);
  const driver = queueDriver(connection, onError, isTraced ? await telemetry() : {});
  const apply: JobQueue<ApplyJob> = driver.queue(queueNames.apply);
  const deliver: JobQueue<DeliverJob> = driver.queue(queueNames.deliver);
  const workers: JobWorker[] = [];
  await driver.ready();

  function work<Data>(name: string, concurrency: number, run: (data: Data) => Promise<void>): void {
    workers.push(driver.worker(name, concurrency, run));
  }

  const stopWorking = async () => {
    await Promise.all(workers.map((worker) => worker.close()));
  };

  return {
    countRequests: driver.countRequests,
    stopWorking,
    async wakeApply(jobs) {
      await apply.addBulk(jobs.map((data) => ({ name: "apply", data, opts: applyOptions })));
    },
    async wakeDeliver(jobs) {
      await deliver.addBulk(jobs.map((data) => ({ name: "deliver", data, opts: deliverOptions(data) })));
    },
    onApply: (concurrency, run) => work(queueNames.apply, concurrency, run),
    onDeliver: (concurrency, run) => work(queueNames.deliver, concurrency, run),
    async close() {
      await stopWorking();
      await Promise.all([apply.close(), deliver.close()]);
      driver.disconnect();
    },
  };
}

/** Loads OpenTelemetry, which nobody needs who does not trace. */
async function telemetry(): Promise<Traced> {
  const { queueTelemetry } = await import("./telemetry.ts");
  return { telemetry: queueTelemetry() };
}
