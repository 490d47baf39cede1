import { seededRandom } from "../bench/corpus/random.ts";
import { installAuditor, readAuditor } from "./check/auditor.ts";
import { checkEmails, type EmailFigures } from "./check/emails.ts";
import { createFindings, type Findings } from "./check/findings.ts";
import { type Monitor, startMonitor } from "./check/monitor.ts";
import { settle } from "./check/settle.ts";
import { checkWebhooks, type WebhookFigures } from "./check/webhooks.ts";
import { checkWriters } from "./check/writers.ts";
import type { Disturbance, PastFault } from "./faults/injector.ts";
import { type Api, openApi } from "./load/api.ts";
import { type Answers, loadNotifications, type NotificationLoad } from "./load/notifications.ts";
import { openSink, type Sink } from "./load/sink.ts";
import { startWriters, type Writers, type WrittenLedger } from "./load/writers.ts";
import type { QueueKind } from "./stage/queue.ts";
import { openStage, type Stage } from "./stage/stage.ts";

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
  /** How long it may take, after the last fault, until everything is done. */
  settlesWithinSeconds: number;
  onProgress: (line: string) => void;
};

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
  });
  try {
    return await onStage(stage, options);
  } finally {
    await stage.close();
  }
}

async function onStage(stage: Stage, options: RunOptions): Promise<RunResult> {
  const { disturb, settlesWithinSeconds, seed, onProgress } = options;
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
    const settledSeconds = await settle(stage.db, load.open, settlesWithinSeconds, findings);
    onProgress("checking");
    const checked = await check(stage, traffic, faults, findings);
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
    };
  } finally {
    await monitor.stop();
    await traffic.close();
  }
}

/** Everybody who uses the product, each with a ledger. */
type Traffic = {
  load: NotificationLoad;
  sink: Sink;
  api: Api;
  writers: Writers;
  close(): Promise<void>;
};

async function startTraffic(stage: Stage, { seed, rate }: RunOptions): Promise<Traffic> {
  const sink = await openSink();
  stage.toSink.leadTo(sink.port);
  const ports = stage.services.flatMap(({ toPort }) => (toPort ? [toPort.port] : []));
  const load = loadNotifications({
    random: seededRandom(seed),
    signer: stage.signer,
    ports,
    perSecond: rate,
  });
  const ended = new AbortController();
  const api = openApi(ports, stage.key, seededRandom(seed + 1), ended.signal);
  const { publishTo } = load;
  const tools = { api, random: seededRandom(seed + 2), sink, sinkPort: stage.toSink.port, publishTo };
  const writers = await startWriters(tools);
  const close = async () => {
    ended.abort();
    await load.close();
    await api.close();
    await sink.close();
  };
  return { load, sink, api, writers, close };
}

async function check(
  { db, services, postgres }: Stage,
  { load, sink, api, writers: { ledger } }: Traffic,
  faults: readonly PastFault[],
  findings: Findings,
): Promise<{ emails: EmailFigures; webhooks: WebhookFigures }> {
  const emails = await checkEmails(db, load.messages, new Set(ledger.erased), findings);
  const { arrivals } = sink;
  const webhooks = await checkWebhooks(db, { arrivals, endpoints: ledger.endpoints, faults }, findings);
  await checkWriters(db, api, ledger, findings);
  await readAuditor(db, findings);
  for (const what of load.answers.wrong) findings.add("conduct", what);
  for (const { name, crashes } of services)
    for (const { code, signal } of crashes)
      findings.add("conduct", `${name} ended by itself: ${code ?? signal}`);
  const deadlocks = await postgres.deadlocks();
  if (deadlocks > 0) findings.add("conduct", `${deadlocks} deadlocks`);
  return { emails, webhooks };
}
