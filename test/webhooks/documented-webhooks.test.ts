import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { webhookEventTypes } from "../../src/domain/mail/event-names.ts";
import { readEndpointHeaders } from "../../src/domain/webhooks/headers.ts";
import { failureClasses } from "../../src/domain/webhooks/outcome.ts";
import { afterFailure } from "../../src/domain/webhooks/retry-schedule.ts";
import { feed, idOf } from "../http/api.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { sendingStatus } from "../support/eventbridge.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type Received, type TestSink, webhookSink } from "../support/webhook-sink.ts";

/*
 * docs/webhooks.md is true: its examples are held against webhooks that the service has really sent, its code verifies
 * them, and its tables are those of the code.
 */

const root = new URL("../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");
const page = read("docs/webhooks.md");
const eventTypes = [...webhookEventTypes, "webhook.test"] as const;

let database: TestDatabase;
let service: TestService;
let sink: TestSink;
let secret: string;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url });
  sink = await webhookSink(() => ({ status: 204 }));
  const endpoint = await addEndpoint({ url: sink.url, events: ["*"] });
  secret = endpoint.secret;
  await causeEveryEvent(endpoint.id);
  await until("every type has arrived", () =>
    eventTypes.every((type) => sink.received.some(({ body }) => typeOf(body) === type)),
  );
});
afterAll(async () => {
  await service?.close();
  await sink?.close();
  await database?.drop();
});

async function addEndpoint(fields: Record<string, unknown>): Promise<{ id: string; secret: string }> {
  return (await ask("POST", "/v1/webhooks", fields))["data"] as { id: string; secret: string };
}

async function ask(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const answer = await service.request(method, path, body === undefined ? {} : { body });
  expect([path, answer.ok]).toEqual([path, true]);
  return (await answer.json()) as Record<string, unknown>;
}

const typeOf = (body: string) => (JSON.parse(body) as { event: string }).event;

/** What the examples of the page tell of. */
async function causeEveryEvent(endpointId: string): Promise<void> {
  const gone = await webhookSink(() => ({ status: 410 }));
  await addEndpoint({ url: gone.url, events: ["email.send"], description: "Old CRM" });
  await feedEmails();
  await until("the other endpoint is gone", () =>
    sink.received.some(({ body }) => typeOf(body) === "endpoint.disabled"),
  );
  await gone.close();
  await causeSuppressed(endpointId);
  const event = { email: "lea@example.net", event: "addtocart", timestamp: "2026-11-20T10:35:00Z" };
  await ask("POST", "/v1/events", { ...event, properties: { sku: "A-1", price: 9.5 } });
  await ask("DELETE", "/v1/suppressions/gone@example.com");
  await service.ingest(service.signer.notification(asMessage(sendingStatus("Disabled"))));
  await ask("POST", `/v1/webhooks/${endpointId}/test`);
}

/** One message for each that is told of. */
const messages = {
  receipt: "0100019aa0c5f2c0-2f6d1c9e-7a51-4f0b-9a3d-5c8e1b7f4d20-000000",
  delayed: "0100019aa0c5f2c0-51c0e7aa-93f4-4b6e-8d17-6e2b9c4f5a38-000000",
  bounced: "0100019aa0c5f2c0-8b1e4a70-3c2d-4e8f-a6b5-1d9f0c7e2a34-000000",
  complained: "0100019aa0c5f2c0-c47a9e15-6f80-4b3a-8e2c-7a5d3b1f9062-000000",
  rejected: "0100019aa0c5f2c0-e93b58d4-1a6c-4f27-b0c9-2f8d7e5a6b41-000000",
  failed: "0100019aa0c5f2c0-f0d26c83-7b95-4d1a-9e34-8c1a5f3e7d92-000000",
};
const tags = { campaign_id: ["0b7e6a52-8f0e-4d55-b1f6-3a4c1f0b7a01"], email_type: ["receipt"] };

const unknownUser = {
  emailAddress: "gone@example.com",
  action: "failed",
  status: "5.1.1",
  diagnosticCode: "smtp; 550 5.1.1 user unknown",
};

async function feedEmails(): Promise<void> {
  const to =
    (address: string) =>
    (type: string, message: keyof typeof messages, after: number, detail = {}) =>
      sesEvent(type, { messageId: messages[message], to: [address], after, detail, mail: { tags } });
  const [jane, gone, kim] = [to("jane@example.com"), to("gone@example.com"), to("kim@example.com")];
  const reader = {
    ipAddress: "192.0.2.1",
    userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)",
  };
  await feed(
    service,
    jane("Send", "receipt", 0),
    jane("Delivery", "receipt", 2, { smtpResponse: "250 2.0.0 OK" }),
    jane("DeliveryDelay", "delayed", 600),
    jane("Open", "receipt", 1800, reader),
    jane("Click", "receipt", 1830, { ...reader, link: "https://shop.example.com/account/orders" }),
    jane("Subscription", "receipt", 1840),
    gone("Bounce", "bounced", 1, { bounceSubType: "NoEmail", bouncedRecipients: [unknownUser] }),
    kim("Complaint", "complained", 7200, { complaintFeedbackType: "abuse" }),
    jane("Reject", "rejected", 0, { reason: "Bad content" }),
    jane("Rendering Failure", "failed", 0),
  );
}

/** No event of SES makes such an event; one is stored, and a replay tells of it as of any other. */
async function causeSuppressed(endpointId: string): Promise<void> {
  await database.db.query(
    `insert into events (project_id, owner_id, occurred_at, id, type, detail, created_at)
     select project_id, id, '2026-11-20T10:00:00Z', '01a1f866-0d00-8000-8000-000000000001', 'suppressed', '{}',
       now() - interval '1 hour'
     from activity where id = $1`,
    [await idOf(service, messages.receipt)],
  );
  await ask("POST", `/v1/webhooks/${endpointId}/replays`, {
    since: "2026-11-01",
    scope: "undelivered",
    events: ["email.suppressed"],
  });
}

/** The part of the page below a heading, up to the next one. */
function section(heading: string): string {
  const parts = page.split(/^(?=#{1,4} )/m);
  const part = parts.find((one) => one.replace(/^#+ /, "").startsWith(`${heading}\n`));
  if (part === undefined) throw new Error(`docs/webhooks.md has no section ${heading}`);
  return part;
}

function codeBlocks(text: string, language: string): string[] {
  const blocks = text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"));
  return [...blocks].map(([, code = ""]) => code);
}

/** The rows of the tables of a text, without their heads. */
function tableRows(text: string): string[][] {
  const tables = text.matchAll(/^\|[-|]+\|\n((?:\|.*\|\n)+)/gm);
  const lines = [...tables].flatMap(([, rows = ""]) => rows.trimEnd().split("\n"));
  return lines.map((line) => line.slice(2, -2).split(" | "));
}

function codeSpans(text: string): string[] {
  return [...text.matchAll(/(?<!`)`([^`]+)`(?!`)/g)].map(([, code = ""]) => code);
}

function received(type: string): Received {
  const found = sink.received.find(({ body }) => typeOf(body) === type);
  if (found === undefined) throw new Error(`${type} has not arrived`);
  return found;
}

describe("the events of docs/webhooks.md", () => {
  test("are those that there are", () => {
    const documented = [...page.matchAll(/^#### `(.+)`$/gm)].map(([, type]) => type);
    expect(documented).toEqual(eventTypes);
  });

  test.each(eventTypes)("%s is sent as the page shows it", (type) => {
    const examples = codeBlocks(section(`\`${type}\``), "json");
    expect(examples).toHaveLength(1);
    expect(withoutIdsAndTimes(received(type).body)).toEqual(withoutIdsAndTimes(examples[0] ?? ""));
  });

  /** They differ from run to run; that there is one is compared. */
  function withoutIdsAndTimes(json: string): unknown {
    return JSON.parse(json, (_key, value: unknown) => {
      if (typeof value !== "string") return value;
      if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)) return "an id";
      return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value) ? "a time" : value;
    });
  }
});

test("the request of docs/webhooks.md has the headers that are sent", () => {
  const [request = ""] = codeBlocks(section("The request"), "http");
  const headers = request
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split(": ") as [string, string]);
  const { connection: _, "content-length": __, ...sent } = received("email.send").headers;
  expect(headers.map(([name]) => name).toSorted()).toEqual(Object.keys(sent).toSorted());
  expect(Object.fromEntries(headers)["user-agent"]).toMatch(/^Fanmail\/\d/);
  expect(sent["user-agent"]).toMatch(/^Fanmail\/\d/);
  for (const name of ["content-type", "x-fanmail-attempt"]) {
    expect([name, sent[name]]).toEqual([name, Object.fromEntries(headers)[name]]);
  }
});

/** Of a webhook that was sent, and of what others make of it: whether it is to be accepted. */
const requests: [string, boolean, () => Received][] = [
  ["as it came", true, () => received("email.send")],
  ["signed with another secret too, which rotates", true, () => signedWith(otherSecret, "beside")],
  ["with a changed byte", false, () => changed(({ body }) => ({ body: body.replace("jane", "jant") }))],
  ["signed with another secret", false, () => signedWith(otherSecret, "instead")],
  ["of an hour ago", false, () => signedAt(new Date(Date.now() - 3_600_000))],
  ["of an hour ahead", false, () => signedAt(new Date(Date.now() + 3_600_000))],
  [
    "with another time than the signed one",
    false,
    () => changed(({ headers }) => ({ timestamp: String(Number(headers["webhook-timestamp"]) + 1) })),
  ],
  ["without a signature", false, () => changed(() => ({ signature: "" }))],
];
const otherSecret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const secondsOf = (at: Date) => String(Math.floor(at.getTime() / 1000));

type Change = { body?: string; timestamp?: string; signature?: string };

function changed(change: (request: Received) => Change): Received {
  const request = received("email.send");
  const { body = request.body, timestamp, signature } = change(request);
  const headers = {
    ...request.headers,
    ...(timestamp !== undefined && { "webhook-timestamp": timestamp }),
    ...(signature !== undefined && { "webhook-signature": signature }),
  };
  return { headers, body };
}

function signedAt(at: Date, by = secret): Received {
  return changed(({ headers, body }) => ({
    timestamp: secondsOf(at),
    signature: new Webhook(by).sign(String(headers["webhook-id"]), at, body),
  }));
}

function signedWith(other: string, place: "beside" | "instead"): Received {
  const { headers } = received("email.send");
  const at = new Date(Number(headers["webhook-timestamp"]) * 1000);
  const { "webhook-signature": signature } = signedAt(at, other).headers;
  const own = place === "beside" ? ` ${headers["webhook-signature"]}` : "";
  return changed(() => ({ signature: `${signature}${own}` }));
}

describe("the code of docs/webhooks.md for Node", () => {
  let url: string;
  let server: ChildProcess;

  beforeAll(async () => {
    const [code = ""] = codeBlocks(section("With a library"), "js");
    const port = await freePort();
    url = `http://127.0.0.1:${port}/`;
    const env = { ...process.env, WEBHOOK_SECRET: secret, PORT: String(port) };
    server = spawn(process.execPath, ["--input-type=module", "-e", code], {
      cwd: root,
      env,
      stdio: "ignore",
    });
    await until("it listens", () => fetch(url).then(Boolean, () => false));
  });
  afterAll(async () => {
    if (server?.kill()) await once(server, "exit");
  });

  test.each(requests)("answers a webhook %s: accepted %s", async (_what, isAccepted, request) => {
    const { headers, body } = request();
    const { status } = await fetch(url, { method: "POST", headers: ownHeaders(headers), body });
    expect(status).toBe(isAccepted ? 204 : 401);
  });

  /** Those of the connection are made anew. */
  function ownHeaders(headers: Received["headers"]): Record<string, string> {
    const names = ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"];
    return Object.fromEntries(names.map((name) => [name, String(headers[name])]));
  }
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Calls the page's function with what stands on standard input, and says what came of it. */
const scripts = [
  {
    block: "py",
    command: "python3",
    option: "-c",
    call: `
import sys
given = json.load(sys.stdin)
try:
    print(verified_event(given["secret"], given["headers"], given["body"].encode())["event"])
except ValueError as error:
    print(error)
`,
  },
  {
    block: "php",
    command: "php",
    option: "-r",
    call: `
$given = json_decode(file_get_contents('php://stdin'), true);
try {
    echo verified_event($given['secret'], $given['headers'], $given['body'])['event'];
} catch (RuntimeException $error) {
    echo $error->getMessage();
}
`,
  },
];

describe.each(scripts)("the code of docs/webhooks.md in $command", ({ block, command, option, call }) => {
  const isThere = spawnSync(command, ["--version"]).status === 0;
  const [code = ""] = codeBlocks(section("Without a library"), block);

  test.for(requests)("takes a webhook %s: accepted %s", ([_what, isAccepted, request], { skip }) => {
    skip(!isThere, `There is no ${command} here`);
    const { headers, body } = request();
    const input = JSON.stringify({ secret, headers, body });
    const { stdout, stderr } = spawnSync(command, [option, code + call], { input, encoding: "utf8" });
    const told = isAccepted ? /^email\.send$/ : /^(The webhook is not of|No signature of)/;
    expect([stdout.trim(), stderr]).toEqual([expect.stringMatching(told), ""]);
  });
});

describe("the tables of docs/webhooks.md", () => {
  test("have the schedule of retries", () => {
    expect(tableRows(section("Retries"))).toEqual(schedule());
  });

  function schedule(): string[][] {
    const rows: string[][] = [];
    let sumMs = 0;
    for (let attempt = 1; ; attempt++) {
      const decision = afterFailure(attempt, 0.5);
      if (decision.kind === "give-up") return rows;
      sumMs += decision.delayMs;
      rows.push([String(attempt + 1), spelled(decision.delayMs), spelled(sumMs)]);
    }
  }

  function spelled(ms: number): string {
    const seconds = ms / 1000;
    const parts = { h: Math.floor(seconds / 3600), min: Math.floor((seconds % 3600) / 60), s: seconds % 60 };
    const entries = Object.entries(parts).filter(([, count]) => count > 0);
    return entries.map(([unit, count]) => `${count} ${unit}`).join(" ");
  }

  test("have every class of failure, and no other", () => {
    const classes = tableRows(section("Success and failure")).map(([name = ""]) => name);
    expect(classes.toSorted()).toEqual(failureClasses.map((name) => `\`${name}\``).toSorted());
  });

  test("have the metrics that there are", async () => {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    const names = [...metrics.matchAll(/^# TYPE (fanmail_webhook_\S+)/gm)].map(([, name]) => `\`${name}\``);
    expect(
      tableRows(section("Metrics"))
        .map(([name]) => name)
        .toSorted(),
    ).toEqual(names.toSorted());
  });
});

test("docs/webhooks.md names the headers that are reserved, and no other", () => {
  const [list = ""] = section("Your own headers").split("These cannot be set:").slice(1);
  const pattern = /\^\(([^)]+)\)\|\^\(([^)]+)\)\$/.exec(read("src/domain/webhooks/headers.ts"));
  const [prefixes = [], names = []] = (pattern?.slice(1) ?? []).map((part) => part.split("|"));

  expect(codeSpans(list)).toEqual([...prefixes.map((prefix) => `${prefix}*`), ...names]);
  for (const name of codeSpans(list)) {
    const header = name.replace("*", "anything");
    expect(readEndpointHeaders({ [header]: "a" })).toEqual({
      problem: `must not set ${header}, which is reserved`,
    });
  }
});

test("docs/webhooks.md names calls that there are", () => {
  const operations = Object.entries(service.contract.document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`),
  );
  const named = codeSpans(page).filter((span) => /^(GET|POST|PATCH|DELETE) /.test(span));
  expect(named.length).toBeGreaterThan(10);
  expect(operations).toEqual(expect.arrayContaining(named.map((span) => span.replace(/\?.*/, ""))));
});

test.each(["docs/api.md", "docs/webhooks.md"])("links of %s to headings lead to one", (path) => {
  const links = [...read(path).matchAll(/\]\(([\w./-]*)#([^)]+)\)/g)].map(([, file, anchor]) => [
    file,
    anchor,
  ]);
  const broken = links.filter(
    ([file = "", anchor = ""]) => !anchorsOf(file === "" ? path : `docs/${file}`).includes(anchor),
  );
  expect(broken).toEqual([]);
});

/** As GitHub makes them of headings. */
function anchorsOf(path: string): string[] {
  const headings = read(path).matchAll(/^#{1,4} (.*)$/gm);
  return [...headings].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
