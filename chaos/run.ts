import { seededRandom } from "../bench/corpus/random.ts";
import { installAuditor } from "./check/auditor.ts";
import { check } from "./check/check.ts";
import type { EmailFigures } from "./check/emails.ts";
import { createFindings, type Findings } from "./check/findings.ts";
import { type Monitor, startMonitor } from "./check/monitor.ts";
import { settle } from "./check/settle.ts";
import type { WebhookFigures } from "./check/webhooks.ts";
import type { Disturbance, PastFault } from "./faults/injector.ts";
import type { Answers } from "./load/notifications.ts";
import type { WrittenLedger } from "./load/writers.ts";
import type { QueueKind } from "./stage/queue.ts";
import { openStage, type Stage } from "./stage/stage.ts";
import { startTraffic, type Traffic } from "./traffic.ts";

export type RunOptions = {
  seed: number;
  queue: QueueKind;
  /** Notifications a second. */
  rate: number;
  /** The directory of the product's build. */
  build: string;
  /** The directory of the migrations that make its database. */
  migrations: URL;
  disturb: Disturbance;
  /** What is done when everything has been checked; it may add findings, and returns figures of its own. */
  afterwards?: Afterwards;
  /** The directory of the programs of an installed PostgreSQL; absent: the embedded one. */
  postgresPrograms?: string | null;
  /** How long, after the last fault, nothing may be done while something is left to do. */
  mostIdleSeconds: number;
  onProgress: (line: string) => void;
};

export type Afterwards = (
  stage: Stage,
  traffic: Traffic,
  findings: Findings,
) => Promise<Record<string, number | string>>;

/** Everything that a run has to say. */
export type RunResult = {
  findings: Findings;
  faults: readonly PastFault[];
  answers: Answers;
  emails: EmailFigures;
  webhooks: WebhookFigures;
  written: WrittenLedger;
  monitor: Monitor;
  settledSeconds: number;
  /** Figures of what was done afterwards. */
  more: Record<string, number | string>;
};

/** A clock that somebody has set wrongly. */
const clockShiftMs = -3 * 60_000;

/** Sets everything up, disturbs it, lets it finish, and checks. */
export async function runChaos(options: RunOptions): Promise<RunResult> {
  const stage = await openStage({
    queue: options.queue,
    build: options.build,
    migrations: options.migrations,
    receivers: 2,
    workers: 2,
    clockShiftMs,
    hasVolume: true,
    postgresPrograms: options.postgresPrograms ?? null,
  });
  try {
    return await onStage(stage, options);
  } finally {
    await stage.close();
  }
}

async function onStage(stage: Stage, options: RunOptions): Promise<RunResult> {
  const { disturb, mostIdleSeconds, seed, onProgress } = options;
  await installAuditor(stage.db);
  const traffic = await startTraffic(stage, options);
  const monitor = startMonitor(stage, onProgress);
  const faults: PastFault[] = [];
  const onFault = (fault: PastFault) => {
    faults.push(fault);
    onProgress(`${fault.name} (${fault.target})`);
  };
  try {
    await disturb({ stage, sink: traffic.sink, random: seededRandom(seed + 3) }, onFault);
    onProgress("all faults are over");
    await Promise.all(stage.services.map((service) => service.ready()));
    const { load, writers } = traffic;
    load.finish();
    await writers.finish();
    onProgress("all clients have their answers");
    const findings = createFindings();
    const settledSeconds = await settle(stage.db, load.open, mostIdleSeconds, findings);
    onProgress("checking");
    const checked = await check(stage, traffic, faults, findings);
    const more = (await options.afterwards?.(stage, traffic, findings)) ?? {};
    if (!findings.isEmpty()) onProgress(`logs are kept in ${await stage.keepLogs()}`);
    const { answers } = load;
    return {
      findings,
      faults,
      answers,
      ...checked,
      written: writers.ledger,
      monitor,
      settledSeconds,
      more,
    };
  } finally {
    await monitor.stop();
    await traffic.close();
  }
}
