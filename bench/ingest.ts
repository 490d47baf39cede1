import { partOf } from "./corpus/corpus.ts";
import { assertEqual, expectationOf } from "./corpus/expectation.ts";
import type { LoadReport } from "./load/load.ts";
import { type Options, readComparison, shareOfUsual, showProgress } from "./sides/options.ts";
import { conclude, type Goal, type Report } from "./sides/report.ts";
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
import { walPosition } from "./table-bytes.ts";

const defaults = {
  usually: { notifications: 60_000, rounds: 5 },
  quickly: { notifications: 12_000, rounds: 3 },
};
/** From Node.js 24 on, Express and reading certificates cost less. */
const timesUsual = Number(process.versions.node.split(".")[0]) >= 24 ? 3 : 5;
const shareOfBound = 0.75;

/** Compares how many messages a second one receiver verifies, stores and answers. */
export async function ingest(args: string[], stop: AbortSignal): Promise<number> {
  const options = readComparison(args, defaults);
  return conclude(await sideBySide(stop, options, (all) => compare(all, options)), options.asJson);
}

async function compare(all: SideBySide, options: Options): Promise<Report> {
  const { ours, usual, stage, signer } = all;
  await ours.startReceiver();
  await usual.startReceiver();
  const bound = await stage.startScript("bench/bound.js", [signer.certificatePath], /listens on (\S+)/);
  const part = { notifications: options.notifications, connections: options.connections };
  const candidates: Candidate[] = [
    { name: ours.name, run: () => received(all, ours, part) },
    {
      name: usual.name,
      run: () => received(all, usual, { ...part, notifications: shareOfUsual(part.notifications) }),
    },
    {
      name: "bound: verified, not stored",
      run: () =>
        measured(new Map([["receiver", bound.pid]]), () =>
          all.load.post({ origin: bound.match[1] ?? "", path: "/", ...part }),
        ),
    },
  ];
  const series = await inRounds(candidates, options.rounds, (name, round) =>
    showProgress(`round ${round} of ${options.rounds}: ${name}`),
  );
  return reportOf(series, all, options);
}

type Part = { notifications: number; connections: number };

async function received({ load, corpus }: SideBySide, side: Side, part: Part): Promise<Run> {
  await side.empty();
  const walBefore = await walPosition(side.db);
  const run = await measured(side.processes(), () => load.post({ ...side.target(), ...part }));
  const walBytes = ((await walPosition(side.db)) - walBefore) / partOf(corpus, part.notifications).length;
  assertEqual(side.name, expectationOf(partOf(corpus, part.notifications)), await side.received());
  return { ...run, walBytes };
}

async function measured(
  processes: ReadonlyMap<string, number>,
  post: () => Promise<LoadReport>,
): Promise<Run> {
  const before = await readCpu(processes);
  const { posted, seconds } = await post();
  return { perSecond: posted / seconds, cpu: cpuBetween(before, await readCpu(processes), posted) };
}

function reportOf(series: Series[], { servers }: SideBySide, options: Options): Report {
  const [ours, usual, bound] = series;
  if (!ours || !usual || !bound) throw new Error("unreachable: there are three candidates");
  const ratios = {
    "ours / usual build": ratioOf(ours, usual, ({ perSecond }) => perSecond),
    "ours / bound": ratioOf(ours, bound, ({ perSecond }) => perSecond),
  };
  const goals: Goal[] = [
    { name: "times the usual build", value: ratios["ours / usual build"].median, atLeast: timesUsual },
    { name: "of the bound", value: ratios["ours / bound"].median, atLeast: shareOfBound },
  ];
  const { asJson: _, ...sizes } = options;
  return { benchmark: "ingest", options: sizes, servers, series, ratios, figures: {}, goals };
}
