import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "../context.ts";
import type { Logger } from "../logger.ts";
import type { Addresses } from "../service.ts";
import { answerMetricsOfAll } from "../shared-metrics.ts";
import { environmentConfig } from "./command.ts";
import { startedUnlessStopped, untilStopped } from "./until-stopped.ts";

/** What a process tells the primary when it is at work. */
export type StartedMessage = { started: Addresses };

/** Before a process that has ended is replaced: the reason may still be there. */
const replaceAfterMs = 1_000;

/**
 * Runs this process's command in several processes, which share its ports, and replaces those that end. The primary owns the
 * embedded PostgreSQL, if there is one, and adds up the metrics.
 * @param greet called when all of them are at work.
 * @returns the exit code: 1 if one cannot start.
 */
export async function runProcesses(
  count: number,
  stop: AbortSignal,
  greet: (addresses: Addresses) => void,
): Promise<number> {
  const store = await startedUnlessStopped(stop, openStore(environmentConfig(), { stop }));
  if (store === null) return 0;
  answerMetricsOfAll();
  const close = async () => {
    await endAll();
    await store.close();
  };
  const workers = Array.from({ length: count }, () => cluster.fork());
  const addresses = await Promise.all(workers.map(whenStarted));
  const [first] = addresses;
  if (!first || addresses.includes(null)) {
    await close();
    return stop.aborted ? 0 : 1;
  }
  store.log.info({ pids: workers.map(({ process }) => process.pid) }, "processes started");
  for (const worker of workers) void replaced(worker, stop, store.log);
  greet(first);
  return untilStopped(stop, close);
}

/** @returns null when it ends before; it has said why. */
function whenStarted(worker: Worker): Promise<Addresses | null> {
  return new Promise((resolve) => {
    worker.once("exit", () => resolve(null));
    worker.on("message", ({ started }: Partial<StartedMessage>) => {
      if (started !== undefined) resolve(started);
    });
  });
}

/** Replaces a process whenever it ends, until a stop is requested. */
async function replaced(first: Worker, stop: AbortSignal, log: Logger): Promise<void> {
  for (let worker = first; ; worker = cluster.fork()) {
    // It may have ended while others were starting.
    if (!worker.isDead()) await once(worker, "exit");
    if (stop.aborted) return;
    const { pid, exitCode: code, signalCode: signal } = worker.process;
    log.error({ pid, code, signal }, "process ended, and is replaced");
    await sleep(replaceAfterMs);
    if (stop.aborted) return;
  }
}

/** Lets all processes finish what they have accepted. */
async function endAll(): Promise<void> {
  await Promise.all(
    Object.values(cluster.workers ?? {}).map(async (worker) => {
      if (worker === undefined || worker.isDead()) return;
      const exit = once(worker, "exit");
      worker.process.kill("SIGTERM");
      await exit;
    }),
  );
}
