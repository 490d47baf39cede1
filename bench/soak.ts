import { setTimeout as sleep } from "node:timers/promises";
import { readArgs } from "../src/cli/command.ts";
import { assertEqual, expectationOf } from "./corpus/expectation.ts";
import { isAnyOpen, makeEndpoints } from "./lane-scene.ts";
import { type LaneSink, laneSink } from "./lane-sink.ts";
import { median } from "./measure.ts";
import { residentBytes } from "./memory.ts";
import { queueNamed, showProgress, wholeNumber } from "./sides/options.ts";
import { conclude, type Report } from "./sides/report.ts";
import { type Alone, oursAlone } from "./sides/side-by-side.ts";

type SoakOptions = {
  minutes: number;
  notifications: number;
  connections: number;
  seed: number;
  queue: "redis" | "postgres";
  asJson: boolean;
};

const lookEveryMs = 1_000;
const waitEveryMs = 20;
/** The last fifth of the time may take so much more memory than the second fifth: the first one warms up. */
const mostGrowth = 1.1;

/**
 * Full load for many minutes on one receiver and one worker, with webhooks: does their memory stay where it is? The tables
 * are emptied between the rounds; the processes live on.
 */
export async function soak(args: string[], stop: AbortSignal): Promise<number> {
  const options = readSoak(args);
  const sink = await laneSink();
  try {
    return conclude(
      await oursAlone(stop, options, (all) => measure({ ...all, sink }, options)),
      options.asJson,
    );
  } finally {
    await sink.close();
  }
}

function readSoak(args: string[]): SoakOptions {
  const { values } = readArgs(args, {
    json: { type: "boolean", default: false },
    minutes: { type: "string", default: "30" },
    notifications: { type: "string", default: "40000" },
    connections: { type: "string", default: "64" },
    seed: { type: "string", default: "1" },
    queue: { type: "string", default: "redis" },
  });
  return {
    minutes: wholeNumber("minutes", values.minutes, 1),
    notifications: wholeNumber("notifications", values.notifications, 1_000),
    connections: wholeNumber("connections", values.connections, 1),
    seed: wholeNumber("seed", values.seed, 0),
    queue: queueNamed(values.queue),
    asJson: values.json,
  };
}

type Scene = Alone & { sink: LaneSink };

/** The memory of each process over time, in bytes. */
type Samples = Map<string, number[]>;

async function measure(scene: Scene, options: SoakOptions): Promise<Report> {
  const { ours, sink, stage, servers } = scene;
  await ours.startReceiver();
  await ours.startWorker();
  await makeEndpoints({ url: ours.target().origin, key: stage.key }, sink.origin, 1);
  const over = new AbortController();
  const samples: Samples = new Map();
  const sampling = sample(ours.processes(), samples, over.signal);
  const untilMs = performance.now() + 60_000 * options.minutes;
  let posted = 0;
  while (performance.now() < untilMs) {
    showProgress(
      `${Math.round((untilMs - performance.now()) / 60_000)} minutes left, ${posted} notifications`,
    );
    posted += await round(scene, options);
  }
  over.abort();
  await sampling;
  return reportOf(samples, posted, options, servers);
}

/** From the first request until every webhook was posted. @returns how many notifications. */
async function round({ ours, load, corpus, sink }: Scene, { connections, notifications }: SoakOptions) {
  await ours.empty();
  sink.forget();
  await load.post({ ...ours.target(), notifications, connections });
  while ((await ours.waiting()) > 0) await sleep(waitEveryMs);
  const expected = expectationOf(corpus);
  assertEqual(ours.name, expected, await ours.applied());
  while (await isAnyOpen(ours.db)) await sleep(waitEveryMs);
  return corpus.length;
}

async function sample(
  processes: ReadonlyMap<string, number>,
  samples: Samples,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    for (const name of ["receiver", "worker"]) {
      const bytes = await residentBytes(processes.get(name) ?? 0);
      samples.set(name, [...(samples.get(name) ?? []), bytes]);
    }
    await sleep(lookEveryMs);
  }
}

function reportOf(
  samples: Samples,
  posted: number,
  { asJson: _, ...options }: SoakOptions,
  servers: Record<string, string>,
): Report {
  const parts = [...samples].map(([name, bytes]) => {
    const fifth = (number: number) =>
      bytes.slice((bytes.length * number) / 5, (bytes.length * (number + 1)) / 5);
    return { name, early: median(fifth(1)), late: median(fifth(4)), most: Math.max(...bytes) };
  });
  return {
    benchmark: "soak",
    options,
    servers,
    series: [],
    ratios: {},
    figures: Object.fromEntries([
      ["notifications", posted],
      ...parts.flatMap(({ name, early, late, most }) => [
        [`${name}: MB in the second fifth of the time`, early / 1e6],
        [`${name}: MB in the last fifth`, late / 1e6],
        [`${name}: most MB`, most / 1e6],
      ]),
    ]),
    goals: parts.map(({ name, early, late }) => ({
      name: `memory of the ${name} in the last fifth, of that in the second`,
      value: late / early,
      atMost: mostGrowth,
    })),
  };
}
