import { cpuMicroseconds } from "../cpu-time.ts";
import { median } from "../measure.ts";

/**
 * One measured run.
 * @property cpu microseconds per message, by process.
 * @property walBytes what PostgreSQL wrote to its log, per message.
 */
export type Run = { perSecond: number; cpu: Record<string, number>; walBytes?: number | undefined };

/** The runs of a candidate. Those of the same place were measured in the same round. */
export type Series = { name: string; runs: Run[] };

export type Candidate = { name: string; run: () => Promise<Run> };

/**
 * Runs the candidates in turn, each round starting with another one, so that other load on the machine affects all of them
 * equally. The first round warms up, and is not counted.
 */
export async function inRounds(
  candidates: readonly Candidate[],
  rounds: number,
  onRun: (name: string, round: number) => void,
): Promise<Series[]> {
  const series: Series[] = candidates.map(({ name }) => ({ name, runs: [] }));
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < candidates.length; turn++) {
      const place = (round + turn) % candidates.length;
      onRun(candidates[place]?.name ?? "", round);
      const run = await candidates[place]?.run();
      if (run && round > 0) series[place]?.runs.push(run);
    }
  }
  return series;
}

/** How often one candidate's figure is another's: the median of the rounds, the least and the most. */
export type Ratio = { median: number; least: number; most: number };

export function ratioOf(one: Series, other: Series, figure: (run: Run) => number): Ratio {
  return spread(
    one.runs.flatMap((run, round) => {
      const beside = other.runs[round];
      return beside ? [figure(run) / figure(beside)] : [];
    }),
  );
}

export function spread(values: readonly number[]): Ratio {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

export function totalCpu({ cpu }: Run): number {
  return Object.values(cpu).reduce((sum, microseconds) => sum + microseconds, 0);
}

/** A reading of the processor time that each process has used. */
export async function readCpu(processes: ReadonlyMap<string, number>): Promise<Map<string, number>> {
  const readings = [...processes].map(async ([name, pid]) => [name, await cpuMicroseconds(pid)] as const);
  return new Map(await Promise.all(readings));
}

/** Microseconds per message between two readings. */
export function cpuBetween(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  messages: number,
): Record<string, number> {
  return Object.fromEntries(
    [...after].map(([name, microseconds]) => [name, (microseconds - (before.get(name) ?? 0)) / messages]),
  );
}
