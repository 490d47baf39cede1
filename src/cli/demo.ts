import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { type Config, readConfig } from "../config.ts";
import { type Context, openContext } from "../context.ts";
import { triggerTopic } from "../domain/mail/sns-message.ts";
import { packageRoot } from "../package-info.ts";
import { preload, type Service, startService } from "../service.ts";
import { type LocalSigner, localSigner } from "../tools/captures/local-signer.ts";
import { captureSize } from "../tools/captures/read.ts";
import {
  type DemoResult,
  faultsOf,
  liveliestTimeline,
  reportRows,
  timelineRows,
} from "../tools/demo/report.ts";
import {
  connectSink,
  type Demonstration,
  projectName,
  runDemo,
  setUpShop,
  shopTopic,
  startWebhookSink,
} from "../tools/demo/run-demo.ts";
import { type Command, print, readOptions, table } from "./command.ts";
import { terminalColumns, wrap } from "./output.ts";
import { progressBar } from "./progress.ts";
import { closeInTime, startedUnlessStopped, stopRequest, untilStopped } from "./until-stopped.ts";
import { demoDirectory } from "./with-store.ts";

const defaultPort = 3000;
const capturePath = fileURLToPath(new URL("examples/week.ndjson", packageRoot));

export const demo: Command = {
  help: [
    "npx fanmail demo [--exit]",
    "",
    "Starts everything embedded in DATA_DIR/demo, replays examples/week.ndjson over HTTP into the receiver, and shows the",
    "result. It keeps serving until Ctrl-C; with --exit it ends. In a second run all notifications are duplicates.",
  ].join("\n"),
  async run(args) {
    const values = readOptions(args, { exit: { type: "boolean", default: false } });
    const stop = stopRequest();
    const config = await demoConfig();
    const signer = await localSigner(config.dataDir);
    for (const topic of [shopTopic, triggerTopic])
      config.localCertificates.set(signer.certificateUrl(topic), signer.certificatePath);
    print("Starting PostgreSQL, the receiver, the API and the workers, with their data in");
    print(config.dataDir);
    const started = await startedUnlessStopped(stop, startDemo(config, stop));
    if (started === null) return complain(["stopped before the end"]);
    tellPort(config.port, started.service.url);
    return show(started.context, started.service, signer, { stop, isExit: values.exit });
  },
};

async function startDemo(config: Config, stop: AbortSignal): Promise<{ context: Context; service: Service }> {
  const port = await freePort(config.host, config.port);
  const roles = { receiver: true, workers: true };
  const context = await openContext(
    { ...config, port },
    { stop, whileOpening: () => preload(config, roles) },
  );
  return { context, service: await startService(context, roles) };
}

function tellPort(wanted: number, url: string | null): void {
  if (wanted === 0 || url === null || Number(new URL(url).port) === wanted) return;
  print(wrap(`Port ${wanted} is taken by another program, so this listens on ${url}`));
}

type ShowOptions = { stop: AbortSignal; isExit: boolean };

async function show(
  context: Context,
  service: Service,
  signer: LocalSigner,
  { stop, isExit }: ShowOptions,
): Promise<number> {
  const shop = await setUpShop(context);
  const sink = await startWebhookSink(shop.secret);
  const close = async () => {
    await service.close();
    await sink.close();
  };
  try {
    await connectSink(context, shop, sink.url);
    const url = service.url ?? "";
    const faults = await perform({ context, shop, sink, signer, url, capturePath, stop });
    if (!stop.aborted) printNextSteps(context.config, isExit ? null : { url, apiKey: shop.apiKey });
    if (isExit || stop.aborted) return (await closeInTime(close)) || (faults > 0 ? 1 : 0);
  } catch (error) {
    await close();
    throw error;
  }
  print("\nServing until Ctrl-C.");
  return untilStopped(stop, close);
}

/** @returns the number of faults. */
async function perform(demonstration: Demonstration): Promise<number> {
  const bar = progressBar("replay", await captureSize(demonstration.capturePath));
  const result = await runDemo(demonstration, (bytes, counts) =>
    bar.update(bytes, `${counts.stored} stored`),
  );
  bar.stop();
  if (demonstration.stop.aborted) return complain(["stopped before the end"]);
  printResult(result);
  await printTimeline(demonstration.url, demonstration.shop.apiKey);
  return complain(faultsOf(result));
}

function complain(faults: readonly string[]): number {
  for (const fault of faults) process.stderr.write(`fanmail demo: ${fault}\n`);
  return faults.length;
}

/** The settings of a real service that the demonstration must not use. */
const ofARealService = new Set([
  "DATABASE_URL",
  "REDIS_URL",
  "SNS_TOPIC_ARNS",
  "SNS_LOCAL_CERTS",
  "SNS_RAW_TOKEN",
  "SQS_QUEUE_URLS",
  "BOOTSTRAP_API_KEY",
  "METRICS_PORT",
  "OTEL_EXPORTER_OTLP_ENDPOINT",
]);

/** Everything embedded, whatever the environment says, and separate from a real service's data. */
async function demoConfig(): Promise<Config> {
  const environment = Object.entries(process.env).filter(([name]) => !ofARealService.has(name));
  const config = readConfig({ LOG_LEVEL: "warn", ...Object.fromEntries(environment) });
  return {
    ...config,
    dataDir: demoDirectory(config.dataDir),
    webhookAllowedCidrs: ["127.0.0.0/8"],
  };
}

/** @returns `port`, or 0 (the system chooses) if it is taken. */
function freePort(host: string, port: number): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(0));
    probe.listen(port, host, () => probe.close(() => resolve(port)));
  });
}

function printResult(result: DemoResult): void {
  print();
  for (const line of table(reportRows(result))) print(line);
  if (result.summary.stored === 0) {
    print("\nNothing is new: every notification was received and counted in an earlier run.");
  }
}

async function printTimeline(url: string, apiKey: string): Promise<void> {
  const timeline = await liveliestTimeline(url, apiKey);
  if (timeline === null) return;
  print();
  print(wrap(`"${timeline.subject}" to ${timeline.recipient_primary}: ${timeline.current_status}`));
  for (const line of table(timelineRows(timeline))) print(cut(`  ${line}`));
}

function cut(line: string): string {
  return line.length <= terminalColumns ? line : `${line.slice(0, terminalColumns - 1)}…`;
}

/** @param serving null if the service is about to end. */
function printNextSteps({ dataDir }: Config, serving: { url: string; apiKey: string } | null): void {
  if (serving === null) {
    print("\nLook further, also now that it ends; without --exit it goes on serving:");
  } else {
    print("\nThe API, to read and to try in a browser:");
    print(`  ${serving.url}/docs`);
    print(`with the key\n  ${serving.apiKey}`);
    print("\nLook further, in another terminal:");
  }
  for (const command of commandsFor(dataDir, serving?.url ?? null)) print(`  ${command}`);
}

function commandsFor(dataDir: string, url: string | null): string[] {
  const { port } = url === null ? { port: String(defaultPort) } : new URL(url);
  return [
    ...(process.env["DATABASE_URL"] ? ["unset DATABASE_URL"] : []),
    ...(port === String(defaultPort) ? [] : [`export PORT=${port}`]),
    `export DATA_DIR=${quoted(dataDir)}`,
    "npx fanmail doctor",
    "npx fanmail endpoints list",
    "npx fanmail capture --type bounced",
    ...(url === null ? [] : [`npx fanmail trigger bounce --to me@example.com --project '${projectName}'`]),
  ];
}

function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
