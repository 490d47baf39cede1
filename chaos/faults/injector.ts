import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../bench/corpus/random.ts";
import type { BegunFault, Fault, FaultParts, Picked } from "./faults.ts";

/** A fault that is over. Times are milliseconds since 1970. */
export type PastFault = {
  name: string;
  target: string;
  fromMs: number;
  toMs: number;
  losesOutcomes: boolean;
};

/** Causes faults, one after the other and sometimes two at a time, as its random numbers say. */
export type Injector = {
  past: readonly PastFault[];
  /** Resolves when the time and all faults are over. @throws the first error of a fault that could not be caused or ended. */
  run(seconds: number, stop: AbortSignal): Promise<void>;
};

const pauseMs = { least: 500, spread: 4_000 };
/** So many of a hundred faults begin while another one is under way. */
const overlappingPercent = 30;

export type InjectorOptions = {
  parts: FaultParts;
  random: Random;
  /** What may be caused, of what is possible on this stage. */
  faults: readonly Fault[];
  onFault?: (fault: PastFault) => void;
};

export function createInjector({ parts, random, faults, onFault = () => {} }: InjectorOptions): Injector {
  const possible = faults.filter((fault) => fault.isPossible(parts.stage));
  const past: PastFault[] = [];
  const taken = new Set<string>();
  const running = new Set<Promise<void>>();
  const failures: Error[] = [];

  const cause = async (fault: Fault, pick: Picked, forMs: number) => {
    const fromMs = Date.now();
    const begun: BegunFault = await fault.begin(parts, pick);
    await sleep(forMs);
    await begun.end();
    const { name, losesOutcomes } = fault;
    const over = { name, target: begun.target, fromMs, toMs: Date.now(), losesOutcomes };
    past.push(over);
    onFault(over);
  };
  const begin = (): Promise<void> => {
    const fault = weighted(possible, random);
    const pick = { service: pickService(parts, fault, random) };
    const { least, most } = fault.seconds;
    const forMs = 1_000 * (least + random.next() * (most - least));
    const needs = fault.needs(pick);
    if (taken.has(needs)) return Promise.resolve();
    taken.add(needs);
    const caused = cause(fault, pick, forMs)
      .catch((error: unknown) => void failures.push(new Error(`Fault "${fault.name}"`, { cause: error })))
      .finally(() => {
        taken.delete(needs);
        running.delete(caused);
      });
    running.add(caused);
    return caused;
  };
  return {
    past,
    async run(seconds, stop) {
      const untilMs = performance.now() + 1_000 * seconds;
      while (performance.now() < untilMs && !stop.aborted) {
        await sleep(pauseMs.least + random.below(pauseMs.spread));
        const caused = begin();
        if (random.below(100) >= overlappingPercent) await caused;
      }
      await Promise.all(running);
      if (failures.length > 0) throw failures[0];
    },
  };
}

function weighted(faults: readonly Fault[], random: Random): Fault {
  let left = random.next() * faults.reduce((sum, { weight }) => sum + weight, 0);
  const chosen = faults.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  if (chosen === undefined) throw new Error("There is no fault to cause");
  return chosen;
}

function pickService({ stage: { services } }: FaultParts, { role }: Fault, random: Random) {
  const able = services.filter((service) => role === undefined || service.role === role);
  const service = able[random.below(able.length)];
  if (service === undefined) throw new Error("unreachable: there are services");
  return service;
}
