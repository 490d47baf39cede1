import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../src/storage/database.ts";
import { assertEqual, expectationOf } from "./corpus/expectation.ts";
import { isAnyOpen, makeEndpoints } from "./lane-scene.ts";
import { type LaneSink, laneSink } from "./lane-sink.ts";
import { median } from "./measure.ts";
import { type Options, readComparison, showProgress } from "./sides/options.ts";
import { conclude, type Report } from "./sides/report.ts";
import { cpuBetween, inRounds, type Run, ratioOf, readCpu } from "./sides/rounds.ts";
import { type Alone, oursAlone } from "./sides/side-by-side.ts";
import { tableBytes } from "./table-bytes.ts";

const defaults = {
  usually: { notifications: 30_000, rounds: 3 },
  quickly: { notifications: 4_000, rounds: 2 },
};
const endpointCount = 2;
const lookEveryMs = 20;
/** Of the rate when nothing is open. */
const leastShare = 0.5;
/** The lanes are two rows, each changed with each turn. */
const mostLaneBytes = 1_000_000;

/**
 * Receives, applies and posts webhooks while a transaction keeps an old snapshot, as a dump or a forgotten session does, and
 * while none does: PostgreSQL then cannot remove old versions of rows.
 */
export async function oldSnapshot(args: string[], stop: AbortSignal): Promise<number> {
  const options = readComparison(args, defaults);
  const sink = await laneSink();
  try {
    const report = await oursAlone(stop, options, (all) => compare({ ...all, sink }, options));
    return conclude(report, options.asJson);
  } finally {
    await sink.close();
  }
}

type Scene = Alone & { sink: LaneSink };

async function compare(scene: Scene, options: Options): Promise<Report> {
  const { ours, sink, stage, servers } = scene;
  await ours.startReceiver();
  await ours.startWorker();
  await makeEndpoints({ url: ours.target().origin, key: stage.key }, sink.origin, endpointCount);
  const sizes: Sizes[] = [];
  const candidates = [
    {
      name: "no old snapshot",
      run: async () => {
        const run = await whole(scene, options);
        sizes.push(await sizesOf(ours.db));
        return run;
      },
    },
    { name: "an old snapshot", run: () => whole(scene, options, withOldSnapshot) },
  ];
  const [without, beside] = await inRounds(candidates, options.rounds, (name, round) =>
    showProgress(`round ${round} of ${options.rounds}: ${name}`),
  );
  if (!without || !beside) throw new Error("unreachable: there are two candidates");
  const ratio = ratioOf(beside, without, ({ perSecond }) => perSecond);
  const { asJson: _, ...asked } = options;
  const size = (name: keyof Sizes) => median(sizes.map((one) => one[name]));
  return {
    benchmark: "old-snapshot",
    options: { ...asked, endpoints: endpointCount },
    servers,
    series: [without, beside],
    ratios: { "an old snapshot / none": ratio },
    figures: {
      "bytes of a batch in the journal's table of batches": size("perBatch"),
      "bytes of a delivery": size("perDelivery"),
    },
    goals: [
      {
        name: "rate while a snapshot is open, of the rate without",
        value: ratio.median,
        atLeast: leastShare,
      },
      { name: "bytes of the table of lanes", value: size("lanes"), atMost: mostLaneBytes },
    ],
  };
}

/** From the first request until all webhooks were posted. */
async function whole(
  { ours, load, corpus, sink }: Scene,
  { connections, notifications }: Options,
  beside: (db: Database, work: () => Promise<void>) => Promise<void> = (_db, work) => work(),
): Promise<Run> {
  await ours.empty();
  await ours.db.query("vacuum full webhook_lanes");
  sink.forget();
  const processes = ours.processes();
  const before = await readCpu(processes);
  let seconds = 0;
  await beside(ours.db, async () => {
    const { startedAtMs } = await load.post({ ...ours.target(), notifications, connections });
    while ((await ours.waiting()) > 0 || (await isAnyOpen(ours.db))) await sleep(lookEveryMs);
    seconds = (performance.timeOrigin + performance.now() - startedAtMs) / 1000;
  });
  const cpu = cpuBetween(before, await readCpu(processes), corpus.length);
  assertEqual(ours.name, expectationOf(corpus), await ours.applied());
  await assertAllPosted(ours.db, sink);
  return { perSecond: corpus.length / seconds, cpu };
}

async function withOldSnapshot(db: Database, work: () => Promise<void>): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.query("set transaction isolation level repeatable read");
    // The first statement takes the snapshot.
    await tx.query("select count(*) from webhook_lanes");
    await work();
  });
}

async function assertAllPosted(db: Database, sink: LaneSink): Promise<void> {
  const [row] = await db.query<{ succeeded: number; deliveries: number; attempts: number }>(
    `select count(*) filter (where state = 'succeeded')::integer as succeeded, count(*)::integer as deliveries,
       (select count(*)::integer from attempts) as attempts from deliveries`,
  );
  const counts = [row?.succeeded, row?.deliveries, row?.attempts];
  if (counts.some((count) => count !== sink.posts()) || sink.arrivals.size * endpointCount !== sink.posts())
    throw new Error(`${sink.posts()} POSTs, but ${JSON.stringify(row)}`);
}

type Sizes = { lanes: number; perBatch: number; perDelivery: number };

async function sizesOf(db: Database): Promise<Sizes> {
  const [counts] = await db.query<{ batches: number; deliveries: number }>(
    `select (select count(*)::integer from batches) as batches,
       (select count(*)::integer from deliveries) as deliveries`,
  );
  return {
    lanes: await tableBytes(db, "webhook_lanes"),
    perBatch: (await tableBytes(db, "batches")) / (counts?.batches ?? 1),
    perDelivery: (await tableBytes(db, "deliveries")) / (counts?.deliveries ?? 1),
  };
}
