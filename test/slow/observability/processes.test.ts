import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { localSigner } from "../../../src/tools/captures/local-signer.ts";
import { type OtlpReceiver, otlpReceiver } from "../../observability/otlp-receiver.ts";
import { readMetrics } from "../../observability/read-metrics.ts";
import { type TestDatabase, testDatabase } from "../../support/database.ts";
import { type FanmailProcess, fanmail, terminate } from "../../support/fanmail-process.ts";
import { asMessage, sesEvent } from "../../support/ses.ts";
import { testTopic } from "../../support/sns-signer.ts";
import { until } from "../../support/wait.ts";

/** Refuses to load anything of OpenTelemetry, so that a process shows whether it does. */
const refusing = `data:text/javascript,${encodeURIComponent(`
  import { register } from "node:module";
  const hook = "export async function resolve(name, context, next) {" +
    "if (/opentelemetry|bullmq-otel/.test(name)) throw new Error('refused to load ' + name);" +
    "return next(name, context); }";
  register("data:text/javascript," + encodeURIComponent(hook));
`)}`;

let directory: string;
let database: TestDatabase;
let environment: Record<string, string>;
let sign: (payload: unknown) => string;
let service: FanmailProcess | undefined;
let collector: OtlpReceiver | undefined;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-observability-"));
  database = await testDatabase();
  const signer = await localSigner(directory);
  sign = (payload) =>
    signer.sign({
      topicArn: testTopic,
      messageId: randomUUID(),
      publishedAt: new Date("2026-11-20T12:00:00Z"),
      message: asMessage(payload),
    });
  environment = {
    PORT: "0",
    DATA_DIR: directory,
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    SNS_TOPIC_ARNS: testTopic,
    SNS_LOCAL_CERTS: `${signer.certificateUrl(testTopic)}=${signer.certificatePath}`,
  };
});
afterEach(async () => {
  service?.child.kill("SIGKILL");
  await service?.ended;
  await collector?.close();
  [service, collector] = [undefined, undefined];
});
afterAll(async () => {
  await database?.drop();
  await rm(directory, { recursive: true, force: true });
});

describe("METRICS_PORT", () => {
  test("lets a process that only works be looked at, and nothing else be asked", async () => {
    service = fanmail(["worker"], { ...environment, METRICS_PORT: "0" });
    const [, url = ""] = await service.line(/^fanmail works; health and metrics on (http:\S+)$/m);

    const answers = await Promise.all(
      ["/healthz", "/readyz", "/v1/activity", "/docs"].map(async (path) => {
        const answer = await fetch(url + path);
        return [answer.status, await answer.json()];
      }),
    );

    expect(answers).toEqual([
      [200, { status: "ok" }],
      [200, { status: "ready" }],
      [404, { error: "There is no such route" }],
      [404, { error: "There is no such route" }],
    ]);
    expect((await fetch(`${url}/ingest/sns`, { method: "POST", body: "{}" })).status).toBe(404);
    expect((await readMetrics(url)).get("fanmail_database_up")).toBe(1);
    expect((await terminate(service)).code).toBe(0);
  });

  test("takes the metrics away from PORT, where the API is answered", async () => {
    service = fanmail(["receiver"], { ...environment, METRICS_PORT: "0" });
    const [, url = "", apart = ""] = await service.line(/listens on (\S+); health and metrics on (\S+)/);
    expect(apart).not.toBe(url);
    const body = sign(sesEvent("Send"));
    expect((await fetch(`${url}/ingest/sns`, { method: "POST", body })).status).toBe(200);

    expect((await readMetrics(apart)).get('fanmail_notifications_received_total{source="http"}')).toBe(1);
    for (const path of ["/metrics", "/metrics/", "/METRICS", "//metrics", "/%6Detrics", "/metrics?x=1"]) {
      expect([path, (await fetch(url + path)).status]).toEqual([path, 404]);
    }
    expect((await terminate(service)).code).toBe(0);
  });

  test("unset, a process that only works listens nowhere", async () => {
    service = fanmail(["worker"], environment);
    await service.line(/^fanmail works$/m);
    expect((await terminate(service)).code).toBe(0);
  });
});

describe("OTEL_EXPORTER_OTLP_ENDPOINT", () => {
  test("unset, nothing of OpenTelemetry is loaded", async () => {
    const refused = { ...environment, NODE_OPTIONS: `--import "${refusing}"` };
    service = fanmail(["start"], refused);
    const [, url = ""] = await service.line(/listens on (\S+)/);
    const body = sign(sesEvent("Open"));
    expect((await fetch(`${url}/ingest/sns`, { method: "POST", body })).status).toBe(200);
    expect((await terminate(service)).code).toBe(0);

    const traced = { ...refused, OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" };
    const { code, stderr } = await fanmail(["start"], traced).ended;
    expect([code, stderr]).toEqual([1, expect.stringContaining("refused to load @opentelemetry")]);
  });

  /** Receives one notification, and ends. */
  async function receiveOne(variables: Record<string, string>): Promise<void> {
    service = fanmail(["receiver"], {
      ...environment,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector?.url ?? "",
      ...variables,
    });
    const [, url = ""] = await service.line(/listens on (\S+)/);
    const body = sign(sesEvent("Click"));
    expect((await fetch(`${url}/ingest/sns`, { method: "POST", body })).status).toBe(200);
    expect((await terminate(service)).code).toBe(0);
  }

  test("has the standard variables beside it", async () => {
    collector = await otlpReceiver();
    await receiveOne({
      OTEL_SERVICE_NAME: "mail-events",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
      OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=shop",
    });
    expect(collector.resource()).toMatchObject({
      "service.name": "mail-events",
      "deployment.environment.name": "test",
    });
    expect(collector.headers[0]).toMatchObject({ "x-tenant": "shop" });
    expect(collector.spans().map(({ name }) => name)).toContain("receive notification");
  });

  test("with OTEL_TRACES_SAMPLER nothing is sent of what is not sampled", async () => {
    collector = await otlpReceiver();
    await receiveOne({ OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" });
    expect([collector.spans(), collector.connections()]).toEqual([[], 0]);
  });

  test("a collector that is away is warned of, and disturbs nobody", async () => {
    collector = await otlpReceiver();
    await collector.close();
    await receiveOne({ OTEL_BSP_SCHEDULE_DELAY: "1" });
    expect(service?.stderr().match(/"msg":"traces"/g)).toHaveLength(1);
  });

  test("a collector that never answers does not keep a process from ending in time", async () => {
    collector = await otlpReceiver({ answers: false });
    const { connections } = collector;
    service = fanmail(["receiver"], {
      ...environment,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: "1",
    });
    const [, url = ""] = await service.line(/listens on (\S+)/);
    const body = sign(sesEvent("Delivery"));
    expect((await fetch(`${url}/ingest/sns`, { method: "POST", body })).status).toBe(200);
    await until("spans are on their way", () => connections() > 0);

    // Those who supervise processes kill after ten seconds.
    const kill = setTimeout(() => service?.child.kill("SIGKILL"), 9_500);
    const { code } = await terminate(service);
    clearTimeout(kill);
    expect(code).toBe(0);
  });
});
