import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { localSigner } from "../../src/replay/local-signer.ts";
import { dataDirectory, fanmail, terminate } from "../support/fanmail-process.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { webhookSink } from "../support/webhook-sink.ts";

const topic = "arn:aws:sns:us-east-1:123456789012:example-shop-events";
let root: { path: string; remove(): Promise<void> };

beforeAll(async () => {
  root = await dataDirectory();
});
afterAll(() => root.remove());

test("at its most talkative the log tells what happened, and holds no address, no payload and no secret", async () => {
  const dataDir = join(root.path, "data");
  const signer = await localSigner(dataDir);
  const certificate = `${signer.certificateUrl(topic)}=${signer.certificatePath}`;
  const environment = {
    DATA_DIR: dataDir,
    PORT: "0",
    LOG_LEVEL: "trace",
    SNS_TOPIC_ARNS: topic,
    SNS_LOCAL_CERTS: certificate,
    WEBHOOK_ALLOWED_CIDRS: "127.0.0.0/8",
    BOOTSTRAP_API_KEY: `sk_proj_${"confidential".repeat(4)}`,
  };
  const sink = await webhookSink(() => ({ status: 410, body: "confidential" }));
  const service = fanmail(["start"], environment);
  const [, url = ""] = await service.line(/listens on (\S+)/);
  const askApi = async (path: string, body: unknown) => {
    const answer = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { authorization: environment.BOOTSTRAP_API_KEY, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return ((await answer.json()) as { data: { id: string; secret: string } }).data;
  };
  const endpoint = await askApi("/v1/webhooks", {
    url: `${sink.url}?token=confidential`,
    headers: { authorization: "confidential" },
  });
  const rotated = await askApi(`/v1/webhooks/${endpoint.id}/rotate-secret`, {});
  const ingest = async (body: string) => (await fetch(`${url}/ingest/sns`, { method: "POST", body })).status;
  const sign = (payload: unknown) =>
    signer.wrap(topic, JSON.stringify(payload), new Date("2026-11-20T12:00:00Z"));

  const statuses = [
    await ingest(
      sign(sesEvent("Send", { to: ["victim@example.com"], mail: { tags: { note: ["confidential"] } } })),
    ),
    await ingest(sign({ eventType: "Bounce", mail: { messageId: 7, destination: ["victim@example.com"] } })),
    await ingest(
      sign(sesEvent("Send", { to: ["victim@example.com"] })).replace("Notification", "victim@example.com"),
    ),
    await ingest(sign(sesEvent("Open", { to: ["victim@example.com"] })).replace("message-1", "confidential")),
    await ingest("victim@example.com"),
  ];
  const asked = await fetch(`${url}/v1/activity?email=victim@example.com&status=confidential`);
  await until("both are applied", () => (service.stderr().match(/batch applied/g) ?? []).length >= 1);
  await until("the endpoint is disabled", () => service.stderr().includes("webhook endpoint disabled"));
  const { stderr } = await terminate(service);
  await sink.close();

  expect([...statuses, asked.status]).toEqual([200, 200, 400, 403, 400, 401]);
  expect(stderr).toContain("batch applied");
  expect(stderr).toContain("notification refused");
  expect(stderr).not.toMatch(/victim|confidential/);
  for (const { secret } of [endpoint, rotated]) {
    expect(secret).toMatch(/^whsec_.{40}/);
    expect(stderr).not.toContain(secret.slice("whsec_".length));
  }
});
