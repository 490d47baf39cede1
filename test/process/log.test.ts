import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { localSigner } from "../../src/tools/captures/local-signer.ts";
import { dataDirectory, fanmail, terminate } from "../support/fanmail-process.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { webhookSink } from "../support/webhook-sink.ts";

const topic = "arn:aws:sns:us-east-1:123456789012:example-shop-events";
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
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
  const ingest = async (body: string, requestId = "unnamed") =>
    (await fetch(`${url}/ingest/sns`, { method: "POST", body, headers: { "x-request-id": requestId } }))
      .status;
  const sign = (payload: unknown) =>
    signer.sign({
      topicArn: topic,
      messageId: randomUUID(),
      publishedAt: new Date("2026-11-20T12:00:00Z"),
      message: asMessage(payload),
    });

  const forged = sign(sesEvent("Open", { to: ["victim@example.com"] })).replace("message-1", "confidential");
  const statuses = [
    await ingest(
      sign(sesEvent("Send", { to: ["victim@example.com"], mail: { tags: { note: ["confidential"] } } })),
    ),
    await ingest(sign({ eventType: "Bounce", mail: { messageId: 7, destination: ["victim@example.com"] } })),
    await ingest(
      sign(sesEvent("Send", { to: ["victim@example.com"] })).replace("Notification", "victim@example.com"),
    ),
    await ingest(forged, "the-forged-one"),
    await ingest("victim@example.com", "the-one-that-is-no-json"),
  ];
  const asked = await fetch(`${url}/v1/activity?email=victim@example.com&status=confidential`);
  await until("both are applied", () => (service.stderr().match(/batch applied/g) ?? []).length >= 1);
  await until("the endpoint is disabled", () => service.stderr().includes("webhook endpoint disabled"));
  const { stderr } = await terminate(service);
  await sink.close();

  expect([...statuses, asked.status]).toEqual([200, 200, 400, 403, 400, 401]);
  expect(stderr).toContain("batch applied");
  const lines = linesOf(stderr);
  expect(lines.filter(({ msg }) => msg === "notification refused")).toMatchObject([
    { cause: "not_sns", request_id: "unnamed" },
    { cause: "signature", request_id: "the-forged-one", sns_message_id: messageIdOf(forged) },
    { cause: "not_json", request_id: "the-one-that-is-no-json" },
  ]);
  expect(lines.find(({ msg }) => msg === "batch applied")).toMatchObject({
    batch_ids: expect.arrayContaining([expect.stringMatching(uuid)]),
  });
  expect(lines.find(({ msg }) => msg === "webhook failed")).toMatchObject({
    level: "info",
    failure: "http_4xx",
    delivery_id: expect.stringMatching(uuid),
    endpoint_id: endpoint.id,
    attempt: 1,
    status: 410,
  });
  expect(stderr).not.toMatch(/victim|confidential/);
  for (const { secret } of [endpoint, rotated]) {
    expect(secret).toMatch(/^whsec_.{40}/);
    expect(stderr).not.toContain(secret.slice("whsec_".length));
  }
});

/** What is no JSON is of the embedded PostgreSQL. */
function linesOf(stderr: string): Record<string, unknown>[] {
  return stderr
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

function messageIdOf(envelope: string): unknown {
  return (JSON.parse(envelope) as { MessageId: unknown }).MessageId;
}
