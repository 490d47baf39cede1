import { setTimeout as sleep } from "node:timers/promises";
import { median, oneDecimal } from "../../bench/measure.ts";
import { migrationsDirectory } from "../../src/package-info.ts";
import { migrate } from "../../src/storage/migrate.ts";
import type { Disturbance, PastFault } from "../faults/injector.ts";
import type { StagedService } from "../stage/stage.ts";

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

/**
 * Upgrades as docs/operations.md says: migrates while the earlier release is at work, and then replaces its processes by
 * those of this build, the workers first.
 */
export function rollingUpgrade(build: string): Disturbance {
  return async ({ stage: { db, services } }, onFault) => {
    await sleep(betweenMs);
    const fromMs = Date.now();
    const applied = await migrate(db, migrationsDirectory);
    const name = applied.length > 0 ? `migrated: ${applied.join(", ")}` : "nothing to migrate";
    onFault({ name, target: "PostgreSQL", fromMs, toMs: Date.now(), losesOutcomes: false });
    await sleep(2 * betweenMs);
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

/** How long processes were away, from SIGTERM until they were ready again. */
export function restartFigures(past: readonly PastFault[]): Record<string, number> {
  const seconds = (role: string) =>
    past.filter(({ target }) => target.startsWith(role)).map(({ fromMs, toMs }) => (toMs - fromMs) / 1000);
  const figures = ["receiver", "worker"].flatMap((role) => [
    [`restarts of a ${role}`, seconds(role).length],
    [`restart of a ${role}, median s`, oneDecimal(median(seconds(role)))],
    [`restart of a ${role}, longest s`, oneDecimal(Math.max(0, ...seconds(role)))],
  ]);
  return Object.fromEntries(figures);
}
