import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { localSigner } from "../../src/replay/local-signer.ts";
import { dataDirectory, fanmail, run, terminate } from "../support/fanmail-process.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";

const topic = "arn:aws:sns:us-east-1:123456789012:example-shop-events";
let root: { path: string; remove(): Promise<void> };

beforeAll(async () => {
  root = await dataDirectory();
});
afterAll(() => root.remove());

test("at its most talkative the log tells what happened, and holds no address and no payload", async () => {
  const dataDir = join(root.path, "data");
  const signer = await localSigner(dataDir);
  const certificate = `${signer.certificateUrl(topic)}=${signer.certificatePath}`;
  const environment = {
    DATA_DIR: dataDir,
    PORT: "0",
    LOG_LEVEL: "trace",
    SNS_TOPIC_ARNS: topic,
    SNS_LOCAL_CERTS: certificate,
  };
  const service = fanmail(["start"], environment);
  const [, url = ""] = await service.line(/listens on (\S+)/);
  await run(["endpoints", "add", "http://127.0.0.1:9/"], environment);
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
  const { stderr } = await terminate(service);

  expect([...statuses, asked.status]).toEqual([200, 200, 400, 403, 400, 401]);
  expect(stderr).toContain("batch applied");
  expect(stderr).toContain("notification refused");
  expect(stderr).not.toMatch(/victim|confidential/);
});
