import { randomUUID } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { interpretNotification } from "../../src/domain/mail/interpret-notification.ts";
import {
  type ExampleType,
  exampleMessageId,
  exampleNotification,
  exampleTypes,
} from "../../src/tools/trigger/notification.ts";
import { run } from "../support/command.ts";
import { testDatabase } from "../support/database.ts";
import { dataDirectory, type FanmailProcess, fanmail, terminate } from "../support/fanmail-process.ts";
import { startTestService } from "../support/service.ts";
import { until } from "../support/wait.ts";
import { webhookSink } from "../support/webhook-sink.ts";

/*
 * A developer's afternoon without AWS: a service as it starts by itself, and the two commands beside it.
 */

let directory: { path: string; remove(): Promise<void> };
let service: FanmailProcess;
let environment: Record<string, string>;

beforeAll(async () => {
  directory = await dataDirectory();
  service = fanmail(["start"], { DATA_DIR: directory.path, PORT: "0", LOG_LEVEL: "error" });
  const [, port = ""] = await service.line(/^fanmail listens on http:\/\/127\.0\.0\.1:(\d+)$/m);
  environment = { DATA_DIR: directory.path, PORT: port };
});
afterAll(async () => {
  const { code, stderr } = await terminate(service);
  await directory?.remove();
  expect(code, stderr).toBe(0);
});

type Told = { rows: { recipient: string; current_status: string; events: { discarded: string | null }[] }[] };

async function triggered(...args: string[]): Promise<Told & { message_ids: string[]; applied: number }> {
  const { code, stdout, stderr } = await run(["trigger", ...args, "--json"], environment);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

test("a bounce of two recipients shows what came of each", async () => {
  const { code, stdout } = await run(
    ["trigger", "bounce", "--to", "ann@example.com,bob@example.com"],
    environment,
  );
  expect(code).toBe(0);
  for (const recipient of ["ann", "bob"])
    expect(stdout).toContain(`\n${recipient}@example.com: bounced, suppressed`);
});

test("an address cannot control the terminal that shows it", async () => {
  const address = '"a\u001b]0;title\u0007\u009b2J\u202e"@example.com';
  const { stdout } = await run(["trigger", "send", "--to", address], environment);

  expect(stdout).toContain('"a\\u001b]0;title\\u0007\\u009b2J\\u202e"@example.com: sent');
  expect(stdout).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
});

test.each(Object.keys(exampleTypes) as ExampleType[])("%s reads as one event of its recipient", (type) => {
  const now = new Date();
  const messageId = exampleMessageId(now, randomUUID());
  const example = { messageId, recipients: ["jo@example.com"], sentAt: now, now, isMachine: false };
  const message = exampleNotification(type, { ...example, feedbackId: messageId });
  const body = JSON.stringify({ Message: JSON.stringify(message) });
  expect(interpretNotification(randomUUID(), body, now)).toMatchObject({
    kind: "events",
    events: [{ facts: { recipient: "jo@example.com", message_id: messageId } }],
  });
});

test("a machine's open is discarded, and a person's of the same email counts", async () => {
  const first = await triggered("open", "--machine", "--to", "lea@example.com");
  expect(first.rows[0]?.events.map(({ discarded }) => discarded)).toEqual(["machine"]);
  const [messageId = ""] = first.message_ids;
  const second = await triggered("open", "--to", "lea@example.com", "--message-id", messageId);
  expect(second.rows.map(({ events }) => events.map(({ discarded }) => discarded))).toEqual([
    ["machine", null],
  ]);
});

test("doctor takes a service to which nothing but triggers came for one that begins", async () => {
  await triggered("send", "--to", "first@example.com");
  const { code, stdout } = await run(["doctor", "--json"], environment);
  const { checks } = JSON.parse(stdout);
  expect(code).toBe(0);
  expect(checks).toContainEqual(
    expect.objectContaining({ status: "next", what: expect.stringContaining("No topic is allow-listed") }),
  );
});

test("--count makes so many emails", async () => {
  const { applied, rows } = await triggered("delivery", "--to", "many@example.com", "--count", "30");
  expect([applied, rows.length]).toEqual([30, 30]);
});

test("listen forwards what webhooks tell, signed, and leaves nothing behind", async () => {
  const sink = await webhookSink(() => ({ status: 204 }));
  try {
    const args = ["listen", "--forward", sink.url, "--events", "email.complaint,suppression.added"];
    const listening = fanmail(args, environment);
    await until("it listens", () => listening.stderr().includes("Listening"));
    await triggered("delivery", "--to", "eve@example.com");
    await triggered("complaint", "--to", "eve@example.com");
    await listening.line(/email\.complaint {2}eve@example\.com {2}→ 204/);
    await listening.line(/suppression\.added {2}eve@example\.com {2}→ 204/);
    const secret = /whsec_\S+(?=\. )/.exec(listening.stderr())?.[0] ?? "";
    const told = sink.received.map(({ body, headers }) =>
      new Webhook(secret).verify(body, headers as Record<string, string>),
    );
    expect(told).toMatchObject([
      { event: "email.complaint", data: { recipient: "eve@example.com" } },
      { event: "suppression.added", data: { recipient: "eve@example.com", reason: "complaint" } },
    ]);
    expect((await terminate(listening)).code).toBe(0);
    const { stdout } = await run(["endpoints", "list", "--json"], environment);
    expect(JSON.parse(stdout)).toEqual([]);
  } finally {
    await sink.close();
  }
});

test("a listener that was killed is removed by the next one", async () => {
  const killed = fanmail(["listen"], environment);
  await until("it listens", () => killed.stderr().includes("Listening"));
  killed.child.kill("SIGKILL");
  await killed.ended;
  const next = fanmail(["listen"], environment);
  await until("it listens", () => next.stderr().includes("Listening"));
  const { stdout } = await run(["endpoints", "list", "--json"], environment);
  expect(JSON.parse(stdout)).toMatchObject([
    { description: expect.stringContaining(`process ${next.child.pid}`) },
  ]);
  expect((await terminate(next)).code).toBe(0);
});

test("a service that does not know the local certificate is told how to, at once", async () => {
  const database = await testDatabase();
  const other = await startTestService({ databaseUrl: database.url });
  try {
    const secrets = { DATABASE_URL: database.url, ENCRYPTION_KEY: Buffer.alloc(32).toString("base64") };
    const args = ["trigger", "bounce", "--to", "me@example.com", "--url", other.url];
    const { code, stdout, stderr } = await run(args, { ...secrets, DATA_DIR: directory.path });
    expect([code, stdout]).toEqual([1, "0 posted and stored\n"]);
    expect(stderr).toContain("Start the service with SNS_LOCAL_CERTS=https://sns.us-east-1.amazonaws.com/");
  } finally {
    await other.close();
    await database.drop();
  }
});

test.each([
  [["trigger"], "Name one type of event: send, delivery"],
  [["trigger", "bounced"], 'There is no type "bounced". There are: send'],
  [["trigger", "bounce"], "Name the recipient: --to me@example.com"],
  [["trigger", "bounce", "--to", "me"], '--to: "me" is not an email address'],
  [["trigger", "bounce", "--to", "a@x.example", "--count", "0"], "--count takes a whole number"],
  [["trigger", "bounce", "--to", "a@x.example", "--url", "http://127.0.0.1:1"], "No Fanmail answers at"],
  [["listen", "--forward", "localhost:80"], '--forward: "localhost:80" is not a URL'],
  [["listen", "--events", "email.bounced"], "email.bounced"],
])("%j: what is wrong is named", async (args, message) => {
  const { code, stdout, stderr } = await run(args, environment);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain(message);
});
