import { setTimeout as sleep } from "node:timers/promises";
import { partOf } from "./corpus/corpus.ts";
import { assertEqual, type Expectation, expectationOf } from "./corpus/expectation.ts";
import { median, quantile } from "./measure.ts";
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
  totalCpu,
} from "./sides/rounds.ts";
import type { Side } from "./sides/side.ts";
import { type SideBySide, sideBySide } from "./sides/side-by-side.ts";
import { tableBytes, walPosition } from "./table-bytes.ts";
import { type Visibility, visibility } from "./visibility.ts";

const defaults = {
  usually: { notifications: 40_000, rounds: 5 },
  quickly: { notifications: 10_000, rounds: 3 },
};
const timesUsual = 6;
const shareOfCpu = 0.125;
const mostWalBytes = 4_096;
const mostEmailBytes = 1_434;
const lookEveryMs = 5;
const mostPerSecond = 4_000;
const pacedSeconds = 5;

/** Compares how many messages a second are received and applied, and how soon their rows can be read. */
export async function e2e(args: string[], stop: AbortSignal): Promise<number> {
  const options = readComparison(args, defaults);
  return conclude(await sideBySide(stop, options, (all) => compare(all, options)), options.asJson);
}

async function compare(all: SideBySide, options: Options): Promise<Report> {
  const { ours, usual, servers } = all;
  for (const side of [ours, usual]) {
    await side.startReceiver();
    await side.startWorker();
  }
  const { notifications, rounds, connections } = options;
  const candidate = (side: Side, share: number): Candidate => ({
    name: side.name,
    run: () => whole(all, side, { notifications: share, connections }),
  });
  const candidates = [candidate(ours, notifications), candidate(usual, shareOfUsual(notifications))];
  const series = await inRounds(candidates, rounds, (name, round) =>
    showProgress(`round ${round} of ${rounds}: ${name}`),
  );
  await whole(all, ours, { notifications, connections });
  const bytes = await bytesOf(ours, expectationOf(partOf(all.corpus, notifications)));
  const latencies: Visibility[] = [];
  for (const [place, side] of [ours, usual].entries()) {
    showProgress(`at a pace: ${side.name}`);
    latencies.push(await paced(all, side, { options, reached: series[place] }));
  }
  return reportOf(series, { latencies, bytes }, { servers, options });
}

/** What the rows of one run take, with their indexes. */
type Bytes = { email: number; event: number; notification: number };

async function bytesOf({ db }: Side, { activities, events, notifications }: Expectation): Promise<Bytes> {
  return {
    email: (await tableBytes(db, "activity")) / activities,
    event: (await tableBytes(db, "events")) / events,
    notification: (await tableBytes(db, "notifications")) / notifications,
  };
}

/** From the first request until everything is applied. */
async function whole(
  { load, corpus }: SideBySide,
  side: Side,
  part: { notifications: number; connections: number },
): Promise<Run> {
  await side.empty();
  const processes = side.processes();
  const before = await readCpu(processes);
  const walBefore = await walPosition(side.db);
  const { posted, startedAtMs } = await load.post({ ...side.target(), ...part });
  await allApplied(side);
  const seconds = (performance.timeOrigin + performance.now() - startedAtMs) / 1000;
  const cpu = cpuBetween(before, await readCpu(processes), posted);
  const walBytes = ((await walPosition(side.db)) - walBefore) / posted;
  assertEqual(side.name, expectationOf(partOf(corpus, part.notifications)), await side.applied());
  return { perSecond: posted / seconds, cpu, walBytes };
}

async function allApplied(side: Side): Promise<void> {
  while ((await side.waiting()) > 0) await sleep(lookEveryMs);
}

/** At 4,000 messages a second, or half of what was reached. */
async function paced(
  { load, corpus }: SideBySide,
  side: Side,
  { options, reached }: { options: Options; reached: Series | undefined },
): Promise<Visibility> {
  const half = median(reached?.runs.map(({ perSecond }) => perSecond) ?? []) / 2;
  const perSecond = Math.round(Math.min(mostPerSecond, half));
  const notifications = Math.min(options.notifications, Math.max(1_000, perSecond * pacedSeconds));
  await side.empty();
  const { connections } = options;
  const latency = await visibility({ load, corpus, connections }, side, { notifications, perSecond });
  await allApplied(side);
  assertEqual(side.name, expectationOf(partOf(corpus, notifications)), await side.applied());
  return latency;
}

function reportOf(
  series: Series[],
  { latencies, bytes }: { latencies: readonly Visibility[]; bytes: Bytes },
  { servers, options }: { servers: Record<string, string>; options: Options },
): Report {
  const [ours, usual] = series;
  if (!ours || !usual) throw new Error("unreachable: there are two candidates");
  const rate = ratioOf(ours, usual, ({ perSecond }) => perSecond);
  const cpu = ratioOf(ours, usual, totalCpu);
  const { asJson: _, ...sizes } = options;
  return {
    benchmark: "e2e",
    options: sizes,
    servers,
    series,
    ratios: { "ours / usual build": rate, "CPU of ours / usual build": cpu },
    figures: {
      "ours: bytes of an event with its indexes": bytes.event,
      "ours: bytes of a notification in the journal": bytes.notification,
      ...Object.assign({}, ...latencies.map((one, place) => latencyOf(one, series[place]?.name ?? ""))),
    },
    goals: [
      { name: "times the usual build", value: rate.median, atLeast: timesUsual },
      { name: "of the usual build's CPU per message", value: cpu.median, atMost: shareOfCpu },
      { name: "WAL bytes per notification", value: median(ours.runs.map(walOf)), atMost: mostWalBytes },
      { name: "bytes of an email in activity", value: bytes.email, atMost: mostEmailBytes },
    ],
  };
}

function walOf({ walBytes }: Run): number {
  return walBytes ?? Number.NaN;
}

function latencyOf({ perSecond, toAnswerMs, toRowMs }: Visibility, name: string): Record<string, number> {
  const at = `${name} at ${perSecond}/s`;
  return {
    [`${at}: POST to 200, p50 ms`]: quantile(toAnswerMs, 0.5),
    [`${at}: POST to 200, p99 ms`]: quantile(toAnswerMs, 0.99),
    [`${at}: POST to row, p50 ms (${toRowMs.length} rows)`]: quantile(toRowMs, 0.5),
    [`${at}: POST to row, p99 ms`]: quantile(toRowMs, 0.99),
  };
}
