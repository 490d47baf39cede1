import { table } from "../src/cli/command.ts";
import { type LaneScene, maxInFlight, type SinkEndpoint } from "./lane-scene.ts";
import { measureTraffic } from "./lane-traffic.ts";
import { idleShare, median, quantile } from "./measure.ts";
import type { Goal } from "./sides/report.ts";

/** How many endpoints hang, and the allowed ratio of the others' times to the times when none hangs. */
type Case = { hanging: number; mostTimes: number };

const none: Case = { hanging: 0, mostTimes: 1 };
const cases: readonly Case[] = [none, { hanging: 1, mostTimes: 1.1 }, { hanging: 20, mostTimes: 1.25 }];
export const mostHanging = Math.max(...cases.map(({ hanging }) => hanging));
const measuredMs = 4_000;
const warmUpMs = 3_000;
/** Long enough to see whether other programs use the machine. */
const idleMs = 300;

/** @property rate deliveries a second. */
export type Size = { endpoints: number; backlog: number; rounds: number; rate: number };

/**
 * Measures the times from commit to delivery, and prints them.
 * @returns the criterion: endpoints that hang do not measurably slow down the others.
 */
export async function compareCases(
  scene: LaneScene,
  size: Size,
  print: (line?: string) => void,
): Promise<Goal[]> {
  const { endpoints, backlog, rounds, rate } = size;
  print(
    `${count(endpoints)} endpoints on one host; ${count(rate)} deliveries a second are committed, to all in turn.`,
  );
  print(`Those that hang accept and never answer; ${count(backlog)} deliveries wait for them together.`);
  print(`Measured are the others: the same ${count(endpoints - mostHanging)} in each case.\n`);
  const { measured, idle } = await measureCases(scene, size);
  const base = measured[0]?.rounds ?? [];
  const isWithin = ({ mostTimes, rounds }: MeasuredCase) =>
    [0.5, 0.99].every((share) => typical(rounds, share) <= mostTimes * typical(base, share));
  const rows = measured.map((one) => [
    nameOf(one),
    count(one.rounds.flat().length),
    typical(one.rounds, 0.5).toFixed(1),
    typical(one.rounds, 0.99).toFixed(1),
    ...(one.hanging === 0
      ? []
      : [
          timesOf(one.rounds, base, 0.5),
          timesOf(one.rounds, base, 0.99),
          `${one.mostTimes}: ${isWithin(one) ? "yes" : "NO"}`,
        ]),
  ]);
  const heads = [`Commit to delivery, ${rounds} rounds`, "deliveries", "median ms", "p99 ms"];
  const compared = ["median, times none", "p99, times none", "within"];
  for (const line of table([[...heads, ...compared], ...rows])) print(line);
  print("\nEach figure is the median of the rounds; in brackets the least and the most of one round.");
  print(`Between them the machine was idle to ${Math.round(100 * idle)} %; on a busy one they say little.\n`);
  return measured.filter(({ hanging }) => hanging > 0).flatMap((one) => goalsOf(one, base));
}

function goalsOf({ hanging, mostTimes, rounds }: MeasuredCase, base: readonly number[][]): Goal[] {
  return [0.5, 0.99].map((share) => ({
    name: `${share === 0.5 ? "median" : "p99"} while ${hanging} hang, times none`,
    value: typical(rounds, share) / typical(base, share),
    atMost: mostTimes,
  }));
}

/** @property rounds the times of each round, in milliseconds. */
type MeasuredCase = Case & { rounds: number[][] };

/**
 * Measures the cases in turn, each round starting with another one, so that other load on the machine affects all of them.
 * @returns the cases, and the share of the machine that was idle while nothing was measured.
 */
async function measureCases(
  scene: LaneScene,
  { backlog, rounds, rate }: Size,
): Promise<{ measured: MeasuredCase[]; idle: number }> {
  const mayHang = thoseThatMayHang(scene);
  const others = scene.endpoints.filter((endpoint) => !mayHang.includes(endpoint));
  const measure = (hanging: number, forMs: number) => {
    const traffic = {
      hanging: mayHang.slice(0, hanging),
      others,
      backlog,
      perSecond: rate,
      measuredMs: forMs,
    };
    return measureTraffic(scene, traffic);
  };
  const measured: MeasuredCase[] = cases.map((one) => ({ ...one, rounds: [] }));
  const idle: number[] = [];
  await measure(0, warmUpMs);
  for (let round = 0; round < rounds; round++) {
    const first = round % measured.length;
    for (const one of [...measured.slice(first), ...measured.slice(0, first)]) {
      idle.push(await idleShare(idleMs));
      one.rounds.push(await measure(one.hanging, measuredMs));
    }
  }
  return { measured, idle: median(idle) };
}

/** Spread among the others, so that commits contain both kinds. */
function thoseThatMayHang({ endpoints }: LaneScene): SinkEndpoint[] {
  const every = Math.floor(endpoints.length / mostHanging);
  return endpoints.filter((_, index) => index % every === 0).slice(0, mostHanging);
}

function nameOf({ hanging }: Case): string {
  if (hanging === 0) return "none hangs";
  return `${hanging} ${hanging === 1 ? "hangs" : "hang"}, ${hanging * maxInFlight} posts in flight`;
}

/** The median of the rounds, so that other load in one of them matters little. */
function typical(rounds: readonly number[][], share: number): number {
  return median(rounds.map((timesMs) => quantile(timesMs, share)));
}

function timesOf(rounds: readonly number[][], base: readonly number[][], share: number): string {
  const ofRounds = rounds.map(
    (timesMs, round) => quantile(timesMs, share) / quantile(base[round] ?? [], share),
  );
  const [least, most] = [Math.min(...ofRounds), Math.max(...ofRounds)].map((times) => times.toFixed(2));
  return `${(typical(rounds, share) / typical(base, share)).toFixed(2)} (${least} to ${most})`;
}

function count(number: number): string {
  return Math.round(number).toLocaleString("en");
}
