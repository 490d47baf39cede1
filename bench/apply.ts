import { setTimeout as sleep } from "node:timers/promises";
import { partOf } from "./corpus/corpus.ts";
import { assertEqual, expectationOf } from "./corpus/expectation.ts";
import { median } from "./measure.ts";
import { type Options, readComparison, shareOfUsual, showProgress } from "./sides/options.ts";
import { conclude, type Report } from "./sides/report.ts";
import {
  type Candidate,
  cpuBetween,
  inRounds,
  type Run,
  ratioOf,
  readCpu,
  type Series,
} from "./sides/rounds.ts";
import type { Side } from "./sides/side.ts";
import { type SideBySide, sideBySide } from "./sides/side-by-side.ts";

const defaults = {
  usually: { notifications: 60_000, rounds: 5 },
  quickly: { notifications: 12_000, rounds: 3 },
};
const timesUsual = 8;
const startsWithinSeconds = 0.7;
const lookEveryMs = 5;

/** Compares how fast one worker applies a backlog, and how soon after its start it does. */
export async function apply(args: string[], stop: AbortSignal): Promise<number> {
  const options = readComparison(args, defaults);
  const report = await sideBySide(stop, options, (all) => compare(all, options));
  showProgress("");
  return conclude(report, options.asJson);
}

async function compare(all: SideBySide, options: Options): Promise<Report> {
  const { ours, usual, servers } = all;
  const starts = new Map<string, number[]>([ours.name, usual.name].map((name) => [name, []]));
  const candidate = (side: Side, notifications: number): Candidate => ({
    name: side.name,
    async run() {
      const { startSeconds, ...run } = await drained(all, side, notifications);
      starts.get(side.name)?.push(startSeconds);
      return run;
    },
  });
  const { notifications, rounds } = options;
  const candidates = [candidate(ours, notifications), candidate(usual, shareOfUsual(notifications))];
  const series = await inRounds(candidates, rounds, (name, round) =>
    showProgress(`round ${round} of ${rounds}: ${name}`),
  );
  const startOf = (side: Side) => median(starts.get(side.name)?.slice(1) ?? []);
  return reportOf(series, { start: startOf(ours), startOfUsual: startOf(usual) }, { servers, options });
}

/** Measures from the first progress on: how long a worker takes to start is a figure of its own. */
async function drained(
  { corpus }: SideBySide,
  side: Side,
  notifications: number,
): Promise<Run & { startSeconds: number }> {
  const part = partOf(corpus, notifications);
  const expected = expectationOf(part);
  await side.empty();
  await side.fill(part);
  const all = await side.waiting();
  const startedMs = performance.now();
  const starting = side.startWorker();
  const left = await waitingBelow(side, all - 1);
  const firstMs = performance.now();
  await starting;
  const processes = side.processes();
  const before = await readCpu(processes);
  const leftThen = await side.waiting();
  const measuredMs = performance.now();
  await waitingBelow(side, 0);
  const seconds = (performance.now() - measuredMs) / 1000;
  const cpu = cpuBetween(before, await readCpu(processes), leftThen);
  await side.stopWorker();
  assertEqual(side.name, expected, await side.applied());
  if (leftThen < 0.8 * left)
    throw new Error("Too little was left when the measurement began: take a larger backlog");
  return { perSecond: leftThen / seconds, cpu, startSeconds: (firstMs - startedMs) / 1000 };
}

/** Waits until at most so many messages are left. @returns how many are. */
async function waitingBelow(side: Side, most: number): Promise<number> {
  for (;;) {
    const left = await side.waiting();
    if (left <= most) return left;
    await sleep(lookEveryMs);
  }
}

function reportOf(
  series: Series[],
  { start, startOfUsual }: { start: number; startOfUsual: number },
  { servers, options }: { servers: Record<string, string>; options: Options },
): Report {
  const [ours, usual] = series;
  if (!ours || !usual) throw new Error("unreachable: there are two candidates");
  const ratio = ratioOf(ours, usual, ({ perSecond }) => perSecond);
  const { asJson: _, ...sizes } = options;
  return {
    benchmark: "apply",
    options: sizes,
    servers,
    series,
    ratios: { "ours / usual build": ratio },
    figures: {
      "ours: seconds from start to first progress": start,
      "usual build: seconds from start to first progress": startOfUsual,
    },
    goals: [
      { name: "times the usual build", value: ratio.median, atLeast: timesUsual },
      {
        name: "seconds from a worker's start to its first progress",
        value: start,
        atMost: startsWithinSeconds,
      },
    ],
  };
}
