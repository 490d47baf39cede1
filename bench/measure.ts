import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** Something to measure. Runs cycle through the inputs, so that a result does not depend on a single row. */
export type Candidate = { name: string; inputs: readonly string[] };

const leastRuns = 10;

/** How long each run took, in milliseconds. */
export type Measurement = { name: string; timesMs: number[] };

/**
 * Runs the candidates in turn, each round starting with another one, so that other load on the machine affects all of them
 * equally.
 * @param warmUpRounds run first, and are not measured.
 * @param budgetMs a candidate that took so long altogether is not run again, once it has run `leastRuns` times.
 */
export async function interleaved(
  candidates: readonly Candidate[],
  run: (input: string) => Promise<unknown>,
  {
    rounds,
    warmUpRounds,
    budgetMs = Number.POSITIVE_INFINITY,
  }: { rounds: number; warmUpRounds: number; budgetMs?: number },
): Promise<Measurement[]> {
  const measured = candidates.map((candidate) => ({ ...candidate, timesMs: [] as number[], spentMs: 0 }));
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    const first = round % measured.length;
    for (const candidate of [...measured.slice(first), ...measured.slice(0, first)]) {
      const { inputs, timesMs } = candidate;
      if (candidate.spentMs > budgetMs && timesMs.length >= leastRuns) continue;
      const tookMs = await timed(() => run(inputs[round % inputs.length] ?? ""));
      candidate.spentMs += tookMs;
      // One that has used its budget while warming up is measured nevertheless.
      if (round >= warmUpRounds || candidate.spentMs > budgetMs) timesMs.push(tookMs);
    }
  }
  return measured.map(({ name, timesMs }) => ({ name, timesMs }));
}

/** The duration in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** The idle share of the machine's processors during this time, in [0, 1]. */
export async function idleShare(forMs: number): Promise<number> {
  const before = processorTimes();
  await sleep(forMs);
  const after = processorTimes();
  return (after.idle - before.idle) / Math.max(1, after.total - before.total);
}

function processorTimes(): { idle: number; total: number } {
  const times = cpus().flatMap((cpu) => Object.entries(cpu.times));
  const sum = (entries: [string, number][]) => entries.reduce((total, [, ms]) => total + ms, 0);
  return { idle: sum(times.filter(([kind]) => kind === "idle")), total: sum(times) };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * The quantile by nearest rank.
 * @param share in (0, 1]; 0.99 for p99.
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
}

export function oneDecimal(value: number): number {
  return Math.round(value * 10) / 10;
}
