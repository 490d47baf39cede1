import { partOf } from "./corpus/corpus.ts";
import { median } from "./measure.ts";
import { drained } from "./sides/drained.ts";
import { type Options, readComparison, shareOfUsual, showProgress } from "./sides/options.ts";
import { conclude, type Report } from "./sides/report.ts";
import { type Candidate, inRounds, ratioOf, type Series } from "./sides/rounds.ts";
import type { Side } from "./sides/side.ts";
import { type SideBySide, sideBySide } from "./sides/side-by-side.ts";

const defaults = {
  usually: { notifications: 60_000, rounds: 5 },
  quickly: { notifications: 12_000, rounds: 3 },
};
const timesUsual = 8;
const startsWithinSeconds = 0.7;

/** Compares how fast one worker applies a backlog, and how soon after its start it does. */
export async function apply(args: string[], stop: AbortSignal): Promise<number> {
  const options = readComparison(args, defaults);
  return conclude(await sideBySide(stop, options, (all) => compare(all, options)), options.asJson);
}

async function compare(all: SideBySide, options: Options): Promise<Report> {
  const { ours, usual, servers } = all;
  const starts = new Map<string, number[]>([ours.name, usual.name].map((name) => [name, []]));
  const candidate = (side: Side, notifications: number): Candidate => ({
    name: side.name,
    async run() {
      const { startSeconds, measured, ...run } = await drained(side, partOf(all.corpus, notifications));
      if (measured < 0.5 * notifications)
        throw new Error("Too little was left when the measurement began; measure more --notifications");
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
