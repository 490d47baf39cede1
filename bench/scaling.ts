import { setTimeout as sleep } from "node:timers/promises";
import { partOf } from "./corpus/corpus.ts";
import { assertEqual, expectationOf } from "./corpus/expectation.ts";
import { familyOf } from "./cpu-time.ts";
import { median } from "./measure.ts";
import { residentBytes } from "./memory.ts";
import { type Sessions, type Troubles, troubles, watchedSessions } from "./sessions.ts";
import { type Options, readComparison, showProgress } from "./sides/options.ts";
import { conclude, type Report } from "./sides/report.ts";
import { cpuBetween, inRounds, type Ratio, type Run, ratioOf, readCpu, type Series } from "./sides/rounds.ts";
import type { Role, Side } from "./sides/side.ts";
import { type Alone, oursAlone } from "./sides/side-by-side.ts";
import { tableBytes, walPosition } from "./table-bytes.ts";

/** Notifications are those of one process. */
const defaults = {
  usually: { notifications: 4_000, rounds: 3 },
  quickly: { notifications: 2_000, rounds: 1 },
};
const counts = [1, 2, 4];
const mostProcesses = Math.max(...counts);
const warmUpShare = 0.5;
const lookEveryMs = 5;
/** Workers finish their jobs, which find nothing more, before Redis is emptied. */
const settleMs = 500;
/** A billion notifications in a month of thirty days. */
const averagePerSecond = 386;
const pacedSeconds = 12;
/** CPU per notification with four processes, of that with one. */
const mostCpu = 1.5;

/**
 * Runs one, two and four receivers, and workers, over one PostgreSQL. What fills a small machine cannot get faster; but where
 * CPU per notification stays the same, no process waits for another, and more cores do more.
 */
export async function scaling(args: string[], stop: AbortSignal): Promise<number> {
  const options = readComparison(args, defaults);
  const notifications = mostProcesses * options.notifications;
  const size = { ...options, notifications };
  return conclude(await oursAlone(stop, size, (all) => compare(all, options)), options.asJson);
}

/**
 * @property stored notifications of a transaction that stores. @property applied likewise.
 * @property batchBytes what the table of batches takes, per notification. @property megabytes of the largest process.
 */
type Beside = Sessions &
  Troubles & { stored: number; applied: number; batchBytes: number; megabytes: number };
type Measured = Run & { beside: Beside };
type Scene = Alone & { options: Options };

async function compare(all: Alone, options: Options): Promise<Report> {
  const scene = { ...all, options };
  const beside = new Map<string, Beside[]>();
  const candidate = (name: string, measure: () => Promise<Measured>) => ({
    name,
    async run() {
      const { beside: one, ...run } = await measure();
      beside.set(name, [...(beside.get(name) ?? []), one]);
      return run;
    },
  });
  const several = (role: Role, measure: (scene: Scene, count: number) => Promise<Measured>) =>
    inRounds(
      counts.map((count) => candidate(named(role, count), () => measure(scene, count))),
      options.rounds,
      (name, round) => showProgress(`round ${round} of ${options.rounds}: ${name}`),
    );
  const receivers = await several("receiver", received);
  const workers = await several("worker", applied);
  showProgress("at a pace");
  const average = candidate(`2 of each at ${averagePerSecond}/s`, () => paced(scene));
  const atAverage = { name: average.name, runs: [await average.run()] };
  return reportOf({ receivers, workers, atAverage }, beside, scene);
}

function named(role: Role, count: number): string {
  return `${count} ${role}${count === 1 ? "" : "s"}`;
}

async function received(scene: Scene, count: number): Promise<Measured> {
  const { ours, load, corpus, options } = scene;
  const notifications = count * options.notifications;
  const connections = count * options.connections;
  const post = (share: number) =>
    load.post({ ...ours.target(), notifications: share * notifications, connections });
  return withProcesses(scene, { receiver: count }, async () => {
    await post(warmUpShare);
    await ours.empty();
    const before = await readCpu(ours.processes());
    const { posted, seconds } = await post(1);
    const cpu = cpuBetween(before, await readCpu(ours.processes()), posted);
    assertEqual(ours.name, expectationOf(partOf(corpus, notifications)), await ours.received());
    return { perSecond: posted / seconds, cpu };
  });
}

async function applied(scene: Scene, count: number): Promise<Measured> {
  const { ours, corpus, options } = scene;
  const notifications = count * options.notifications;
  return withProcesses(scene, { worker: count }, async () => {
    await ours.fill(partOf(corpus, warmUpShare * notifications));
    await untilApplied(ours);
    await sleep(settleMs);
    await ours.empty();
    const part = partOf(corpus, notifications);
    await ours.fill(part);
    const before = await readCpu(ours.processes());
    const left = await ours.waiting();
    const startedMs = performance.now();
    await untilApplied(ours);
    const seconds = (performance.now() - startedMs) / 1000;
    const cpu = cpuBetween(before, await readCpu(ours.processes()), left);
    assertEqual(ours.name, expectationOf(part), await ours.applied());
    return { perSecond: left / seconds, cpu };
  });
}

/** Two receivers and two workers that have little to do, so that most transactions hold a single notification. */
async function paced(scene: Scene): Promise<Measured> {
  const { ours, load, corpus, options } = scene;
  const notifications = Math.min(corpus.length, averagePerSecond * pacedSeconds);
  return withProcesses(scene, { receiver: 2, worker: 2 }, async () => {
    await load.post({ ...ours.target(), notifications, connections: options.connections });
    await untilApplied(ours);
    await sleep(settleMs);
    await ours.empty();
    const order = { notifications, connections: options.connections, perSecond: averagePerSecond };
    const walBefore = await walPosition(ours.db);
    const before = await readCpu(ours.processes());
    const { posted, seconds } = await load.post({ ...ours.target(), ...order });
    await untilApplied(ours);
    const cpu = cpuBetween(before, await readCpu(ours.processes()), posted);
    const walBytes = ((await walPosition(ours.db)) - walBefore) / posted;
    assertEqual(ours.name, expectationOf(partOf(corpus, notifications)), await ours.applied());
    return { perSecond: posted / seconds, cpu, walBytes };
  });
}

/** Starts processes, measures, and ends them. New ones each time, which have all done as much when they are measured. */
async function withProcesses(
  { ours }: Scene,
  counts: Partial<Record<Role, number>>,
  measure: () => Promise<Run>,
): Promise<Measured> {
  await ours.empty();
  const before = await troubles(ours.db);
  if (counts.receiver) await ours.startReceiver(counts.receiver);
  if (counts.worker) await ours.startWorker(counts.worker);
  const { result, sessions } = await watchedSessions(ours.db, measure);
  const megabytes = await mostMegabytes(ours);
  const sizes = await perTransaction(ours);
  await ours.stop("receiver");
  await ours.stop("worker");
  const after = await troubles(ours.db);
  const rollbacks = after.rollbacks - before.rollbacks;
  const deadlocks = after.deadlocks - before.deadlocks;
  return { ...result, beside: { ...sessions, ...sizes, rollbacks, deadlocks, megabytes } };
}

async function untilApplied(ours: Side): Promise<void> {
  while ((await ours.waiting()) > 0) await sleep(lookEveryMs);
}

/** The memory of the largest process of the services. */
async function mostMegabytes(ours: Side): Promise<number> {
  const processes = ours.processes();
  const roles: Role[] = ["receiver", "worker"];
  const families = await Promise.all(
    roles.flatMap((role) => {
      const pid = processes.get(role);
      return pid === undefined ? [] : [familyOf(pid)];
    }),
  );
  const bytes = await Promise.all(families.flat().map(residentBytes));
  return Math.max(...bytes) / 1_000_000;
}

/** Notifications of a transaction that stores, and of one that applies; what is applied together is counted in its first batch. */
async function perTransaction({ db }: Side): Promise<Pick<Beside, "stored" | "applied" | "batchBytes">> {
  const [row] = await db.query<{ stored: number; applied: number; notifications: number }>(
    `select avg(notification_count)::float8 as stored,
       coalesce(sum(notification_count)::float8
         / nullif(count(*) filter (where event_count + repeated_count + ignored_count > 0), 0), 0) as applied,
       sum(notification_count)::float8 as notifications
     from batches`,
  );
  const { stored = 0, applied = 0, notifications = 1 } = row ?? {};
  return { stored, applied, batchBytes: (await tableBytes(db, "batches")) / notifications };
}

type AllSeries = { receivers: Series[]; workers: Series[]; atAverage: Series };

function reportOf(
  { receivers, workers, atAverage }: AllSeries,
  beside: ReadonlyMap<string, Beside[]>,
  { servers, options }: Scene,
): Report {
  const { asJson: _, ...sizes } = options;
  const ratios = { ...ratiosOf("receiver", receivers), ...ratiosOf("worker", workers) };
  const series = [...receivers, ...workers, atAverage];
  return {
    benchmark: "scaling",
    options: sizes,
    servers,
    series,
    tables: [coresTable(series), besideTable(series, beside)],
    ratios,
    figures: {},
    goals: Object.entries(ratios)
      .filter(([name]) => name.startsWith(`${mostProcesses} `) && name.includes("CPU"))
      .map(([name, ratio]) => ({ name, value: ratio.median, atMost: mostCpu })),
  };
}

function ratiosOf(role: Role, series: readonly Series[]): Record<string, Ratio> {
  const [one, ...others] = series;
  if (!one) throw new Error("unreachable: there is a series for each count");
  const entries = others.flatMap((other): [string, Ratio][] => [
    [`${other.name} / 1: rate`, ratioOf(other, one, ({ perSecond }) => perSecond)],
    [`${other.name} / 1: CPU of a ${role}`, ratioOf(other, one, ({ cpu }) => cpu[role] ?? Number.NaN)],
    [
      `${other.name} / 1: CPU of PostgreSQL`,
      ratioOf(other, one, ({ cpu }) => cpu["PostgreSQL"] ?? Number.NaN),
    ],
  ]);
  return Object.fromEntries(entries);
}

/** Rate × CPU per notification: which part is the limit. */
function coresTable(series: readonly Series[]) {
  const parts = ["receiver", "worker", "PostgreSQL", "Redis"];
  const cores = ({ runs }: Series, part: string) =>
    median(runs.map(({ cpu, perSecond }) => (perSecond * (cpu[part] ?? 0)) / 1_000_000));
  return {
    heads: ["Cores busy", ...parts],
    rows: series.map((one) => [one.name, ...parts.map((part) => cores(one, part))]),
  };
}

function besideTable(series: readonly Series[], beside: ReadonlyMap<string, Beside[]>) {
  const fields: Record<keyof Beside, string> = {
    stored: "stored together",
    applied: "applied together",
    batchBytes: "bytes of batches each",
    most: "connections",
    waiting: "waiting for a lock",
    rollbacks: "rollbacks",
    deadlocks: "deadlocks",
    megabytes: "MB of a process",
  };
  const keys = Object.keys(fields) as (keyof Beside)[];
  return {
    heads: ["Besides", ...keys.map((key) => fields[key])],
    rows: series.map(({ name }) => {
      const all = beside.get(name) ?? [];
      return [name, ...keys.map((key) => median(all.map((one) => one[key])))];
    }),
  };
}
