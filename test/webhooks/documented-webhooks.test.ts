import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { newProject, projectTest } from "../support/project-test.ts";
import { until } from "../support/wait.ts";
import { type Received, type TestSink, webhookSink } from "../support/webhook-sink.ts";
import { codeBlocks, codeSpans, section, tableRows, webhooksPage } from "./documented-page.ts";
import { causeEveryEvent, eventTypes, typeOf } from "./every-webhook.ts";

/*
 * docs/webhooks.md is true: its examples are compared with webhooks that the service has really sent, and its code
 * verifies them.
 */

const root = new URL("../../", import.meta.url);

const test = projectTest();
let sink: TestSink;
let secret: string;

test.beforeAll(async ({ service }) => {
  sink = await webhookSink(() => ({ status: 204 }));
  secret = await causeEveryEvent(await newProject(service), sink);
});
test.afterAll(() => sink?.close());

function received(type: string): Received {
  const found = sink.received.find(({ body }) => typeOf(body) === type);
  if (found === undefined) throw new Error(`${type} has not arrived`);
  return found;
}

describe("the events of docs/webhooks.md", () => {
  test("are those that there are", () => {
    const documented = [...webhooksPage.matchAll(/^#### `(.+)`$/gm)].map(([, type]) => type);
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

/** A webhook that was sent, and forgeries of it: whether each must be accepted. */
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

  /** Without headers of the connection, which fetch sets itself. */
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

/** Call the page's function with the input on stdin, and print its result. */
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

test("docs/webhooks.md has the metrics that there are", async ({ service }) => {
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  const names = [...metrics.matchAll(/^# TYPE (fanmail_webhook_\S+)/gm)].map(([, name]) => `\`${name}\``);
  expect(
    tableRows(section("Metrics"))
      .map(([name]) => name)
      .toSorted(),
  ).toEqual(names.toSorted());
});

test("docs/webhooks.md names calls that there are", ({ service }) => {
  const operations = Object.entries(service.contract.document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`),
  );
  const named = codeSpans(webhooksPage).filter((span) => /^(GET|POST|PATCH|DELETE) /.test(span));
  expect(named.length).toBeGreaterThan(10);
  expect(operations).toEqual(expect.arrayContaining(named.map((span) => span.replace(/\?.*/, ""))));
});
