import { setTimeout as sleep } from "node:timers/promises";
import { coldStarts } from "./cold-start.ts";
import { partOf } from "./corpus/corpus.ts";
import { median } from "./measure.ts";
import { peakWhile, residentBytes } from "./memory.ts";
import { drained } from "./sides/drained.ts";
import { type Options, readComparison, showProgress } from "./sides/options.ts";
import { conclude } from "./sides/report.ts";
import { spread } from "./sides/rounds.ts";
import { type Alone, oursAlone } from "./sides/side-by-side.ts";

const defaults = {
  usually: { notifications: 40_000, rounds: 9 },
  quickly: { notifications: 10_000, rounds: 3 },
};
const readyWithinSeconds = 2;
const appliesWithinSeconds = 0.7;
const mostMegabytes = { atRest: 150, atFullLoad: 300 };
/** After this a started receiver has done what it does by itself. */
const restMs = 3_000;

/** Measures how soon the service is ready, how soon a worker works, and how much memory a receiver takes. */
export async function start(args: string[], stop: AbortSignal): Promise<number> {
  const options = readComparison(args, defaults);
  showProgress("cold starts");
  const colds = await coldStarts(options.rounds, stop);
  const { memory, workerSeconds, servers } = await oursAlone(stop, options, async (all) => ({
    servers: all.servers,
    memory: await receiverMegabytes(all, options),
    workerSeconds: await workerStarts(all, options.rounds),
  }));
  const ready = spread(colds.map(({ seconds }) => seconds));
  const works = spread(workerSeconds);
  const { asJson, ...sizes } = options;
  const report = {
    benchmark: "start",
    options: sizes,
    servers,
    series: [],
    ratios: {
      "seconds until fanmail start is ready": ready,
      "seconds from a worker's start to its first progress": works,
    },
    figures: {
      "CPU seconds until fanmail start is ready": median(colds.map(({ cpuSeconds }) => cpuSeconds)),
    },
    goals: [
      { name: "seconds until fanmail start is ready", value: ready.median, atMost: readyWithinSeconds },
      { name: "seconds until a worker works", value: works.median, atMost: appliesWithinSeconds },
      { name: "MB of a receiver at rest", value: memory.atRest, atMost: mostMegabytes.atRest },
      { name: "MB of a receiver at full load", value: memory.atFullLoad, atMost: mostMegabytes.atFullLoad },
    ],
  };
  return conclude(report, asJson);
}

async function receiverMegabytes(
  { ours, load }: Alone,
  { notifications, connections }: Options,
): Promise<{ atRest: number; atFullLoad: number }> {
  showProgress("memory of a receiver");
  await ours.startReceiver();
  await sleep(restMs);
  const pid = ours.processes().get("receiver") ?? 0;
  const atRest = await residentBytes(pid);
  const atFullLoad = await peakWhile(pid, async () => {
    await load.post({ ...ours.target(), notifications, connections });
  });
  return { atRest: atRest / 1_000_000, atFullLoad: atFullLoad / 1_000_000 };
}

const backlog = 2_000;

/** How long each start took. The first, which warms up, is not counted. */
async function workerStarts({ ours, corpus }: Alone, rounds: number): Promise<number[]> {
  const part = partOf(corpus, backlog);
  const seconds: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    showProgress(`worker start ${round} of ${rounds}`);
    const { startSeconds } = await drained(ours, part);
    if (round > 0) seconds.push(startSeconds);
  }
  return seconds;
}
