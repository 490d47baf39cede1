import { setTimeout as sleep } from "node:timers/promises";
import type { Disturbance, PastFault } from "./faults/injector.ts";
import type { StagedService } from "./stage/stage.ts";

/*
 * What operators do on purpose. Nothing is lost by it, and no webhook is repeated: a process that is asked to stop finishes
 * what it has begun.
 */

/** Between two processes, so that those of both kinds work side by side for a while. */
const betweenMs = 4_000;

/** Restarts every process in order, one after the other, until the time is over. */
export function rollingRestarts(minutes: number, stop: AbortSignal): Disturbance {
  return async ({ stage: { services } }, onFault) => {
    const untilMs = performance.now() + 60_000 * minutes;
    while (performance.now() < untilMs && !stop.aborted)
      for (const service of services) onFault(await replaced("restarted in order", service));
  };
}

/** Replaces every process by one of another build, the workers first. */
export function rollingUpgrade(build: string): Disturbance {
  return async ({ stage: { services } }, onFault) => {
    await sleep(betweenMs);
    const workersFirst = services.toSorted((one, other) => (one.role < other.role ? 1 : -1));
    for (const service of workersFirst) onFault(await replaced("upgraded", service, build));
  };
}

async function replaced(name: string, service: StagedService, build?: string): Promise<PastFault> {
  const fromMs = Date.now();
  await service.replace(build);
  const toMs = Date.now();
  await sleep(betweenMs);
  return { name, target: service.name, fromMs, toMs, losesOutcomes: false };
}
