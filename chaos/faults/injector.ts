import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../bench/corpus/random.ts";
import type { BegunFault, Fault, FaultParts, Picked } from "./fault.ts";

/** A fault that is over. Times are milliseconds since 1970. */
export type PastFault = {
  name: string;
  target: string;
  fromMs: number;
  toMs: number;
  losesOutcomes: boolean;
};

/** Disturbs what is at work, and reports each fault when it is over. */
export type Disturbance = (parts: FaultParts, onFault: (fault: PastFault) => void) => Promise<void>;

const pauseMs = { least: 500, spread: 4_000 };
/** So many of a hundred faults begin while another one is under way. */
const overlappingPercent = 30;

export type InjectionOptions = {
  random: Random;
  /** What may be caused, where it is possible. */
  faults: readonly Fault[];
  seconds: number;
  /** Ends it early. */
  stop: AbortSignal;
};

/**
 * Causes faults, one after the other and sometimes two at a time, as its random numbers say.
 * @throws the first error of a fault that could not be caused or ended.
 */
export function injecting({ random, faults, seconds, stop }: InjectionOptions): Disturbance {
  return async (parts, onFault) => {
    const possible = faults.filter((fault) => fault.isPossible(parts.stage));
    const taken = new Set<string>();
    const running = new Set<Promise<void>>();
    const failures: Error[] = [];
    const begin = (): Promise<void> => {
      const { fault, pick, forMs } = choose(possible, parts, random);
      const needs = fault.needs(pick);
      if (taken.has(needs)) return Promise.resolve();
      taken.add(needs);
      const caused = cause(fault, parts, pick, forMs)
        .then(onFault)
        .catch((error: unknown) => void failures.push(new Error(`Fault "${fault.name}"`, { cause: error })))
        .finally(() => {
          taken.delete(needs);
          running.delete(caused);
        });
      running.add(caused);
      return caused;
    };
    const untilMs = performance.now() + 1_000 * seconds;
    while (performance.now() < untilMs && !stop.aborted) {
      await sleep(pauseMs.least + random.below(pauseMs.spread));
      const caused = begin();
      if (random.below(100) >= overlappingPercent) await caused;
    }
    await Promise.all(running);
    if (failures.length > 0) throw failures[0];
  };
}

/** Uses as many random numbers whatever is chosen, so that the choices follow from the seed. */
function choose(faults: readonly Fault[], parts: FaultParts, random: Random) {
  const fault = weighted(faults, random);
  const pick = { service: pickService(parts, fault, random) };
  const { least, most } = fault.seconds;
  return { fault, pick, forMs: 1_000 * (least + random.next() * (most - least)) };
}

async function cause(fault: Fault, parts: FaultParts, pick: Picked, forMs: number): Promise<PastFault> {
  const fromMs = Date.now();
  const { target, end }: BegunFault = await fault.begin(parts, pick);
  await sleep(forMs);
  await end();
  const { name, losesOutcomes } = fault;
  return { name, target, fromMs, toMs: Date.now(), losesOutcomes };
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
