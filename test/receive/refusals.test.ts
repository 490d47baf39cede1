import { mkdtemp, rm } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startServer } from "../../src/http/api-server.ts";
import type { HttpServer } from "../../src/http/server.ts";
import type { Logger } from "../../src/logger.ts";
import { Intake } from "../../src/receive/intake.ts";
import { counted, readMetrics } from "../observability/read-metrics.ts";
import { type AwsStub, awsStub } from "../support/aws-stub.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { type Fields, type SnsSigner, snsSigner, testTopic } from "../support/sns-signer.ts";
import { until } from "../support/wait.ts";

/*
 * What anybody can send is counted under its cause, and is neither an error in the log nor a notification that we
 * could not take.
 */

type Line = { level: string; msg: string; cause?: string; topic_arn?: string; left_out?: number };

const token = "r".repeat(32);
const otherTopic = "arn:aws:sns:eu-west-1:999999999999:other";
const certificate = (name: string) =>
  `https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-${name}.pem`;
const refused = 'fanmail_notifications_refused_total{source="http",cause=';

let directory: string;
let database: TestDatabase;
let service: TestService;
let signer: SnsSigner;
let aws: AwsStub;
let intake: Intake;
let front: HttpServer;
let lines: Line[];
/** Answers of AWS that are not given until a test ends them. */
const held: ServerResponse[] = [];

const write = (level: string) => (fields: object, msg: string) => void lines.push({ level, msg, ...fields });
const log: Logger = {
  error: write("error"),
  warn: write("warn"),
  info: write("info"),
  debug: write("debug"),
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-refusals-"));
  signer = await snsSigner(directory);
  aws = await awsStub((url, response) => {
    if (url.includes("-404.")) response.writeHead(404).end();
    else if (url.includes("-500.")) response.writeHead(500).end();
    else if (url.includes("-dead")) held.push(response);
    else response.end(signer.certificate);
  });
  database = await testDatabase();
  service = await startTestService({
    databaseUrl: database.url,
    signer,
    roles: { receiver: true, workers: false },
    environment: { SNS_LOCAL_CERTS: "", SNS_RAW_TOKEN: token },
    context: { awsDispatcher: aws.dispatcher },
  });
  intake = new Intake(service.context);
});
beforeEach(async () => {
  lines = [];
  front = await startServer({ ...service.context, log }, intake);
  return () => front.close();
});
afterAll(async () => {
  await intake?.close();
  await service?.close();
  await aws?.close();
  await database?.drop();
  await rm(directory, { recursive: true, force: true });
});

const signed = (fields?: Fields) => JSON.stringify(signer.notification(asMessage(sesEvent("Send")), fields));

async function post(body: BodyInit, path = "", headers: Record<string, string> = {}): Promise<number> {
  const answer = await fetch(`${front.url}/ingest/sns${path}`, { method: "POST", body, headers });
  return answer.status;
}

/** Half a post, after which the connection ends. */
async function breakOff(): Promise<null> {
  const { hostname, port } = new URL(front.url);
  const socket = connect(Number(port), hostname);
  const half = "POST /ingest/sns HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf";
  await new Promise((sent) => socket.write(half, sent));
  socket.destroy();
  return null;
}

/** Bodies that do not end: one more than are kept. @returns the status of the one that gives way. */
async function crowdBodies(): Promise<number> {
  const { hostname, port } = new URL(front.url);
  const bytes = 1024 * 1024;
  const begun = `POST /ingest/sns HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`;
  const sockets = Array.from({ length: 34 }, () => connect(Number(port), hostname));
  const answers = sockets.map((socket) => new Promise<string>((resolve) => socket.once("data", resolve)));
  for (const socket of sockets) socket.write(`${begun}${"x".repeat(bytes - 1)}`);
  const answer = String(await Promise.race(answers));
  for (const socket of sockets) socket.destroy();
  return Number(answer.split(" ")[1]);
}

/** Certificates that hang: one more than are fetched at a time. */
async function crowd(): Promise<number> {
  const names = Array.from({ length: 17 }, (_, index) => `dead${index.toString(16)}`);
  const posts = names.map((name) => post(signed({ SigningCertURL: certificate(name) })));
  await until("one has given way", () => lines.some(({ cause }) => cause === "certificate_crowded"));
  for (const response of held.splice(0)) response.writeHead(500).end();
  return Math.max(...(await Promise.all(posts)));
}

const causes: [
  cause: string,
  status: number | null,
  level: string,
  topic: string | undefined,
  send: () => Promise<number | null>,
][] = [
  ["not_utf8", 400, "info", undefined, () => post(Buffer.from([0x7b, 0xff, 0x7d]))],
  ["not_json", 400, "info", undefined, () => post("hello")],
  ["not_sns", 400, "info", testTopic, () => post(signed({ Type: "Other" }))],
  ["unknown_topic", 403, "info", otherTopic, () => post(signed({ TopicArn: otherTopic }))],
  [
    "certificate_url",
    403,
    "info",
    testTopic,
    () => post(signed({ SigningCertURL: "https://evil.example/a.pem" })),
  ],
  [
    "certificate_expired",
    403,
    "info",
    testTopic,
    () => post(signed({ Timestamp: "2019-01-01T00:00:00.000Z" })),
  ],
  ["signature", 403, "info", testTopic, () => post(signed().replace("message-1", "message-2"))],
  ["certificate_missing", 503, "info", testTopic, () => post(signed({ SigningCertURL: certificate("404") }))],
  [
    "certificate_unreachable",
    503,
    "warn",
    testTopic,
    () => post(signed({ SigningCertURL: certificate("500") })),
  ],
  ["certificate_crowded", 503, "info", testTopic, crowd],
  ["body_crowded", 503, "info", undefined, crowdBodies],
  ["too_large", 413, "info", undefined, () => post("x".repeat(1024 * 1024 + 1))],
  [
    "raw_delivery",
    403,
    "info",
    otherTopic,
    () => post("{}", "", { "x-amz-sns-rawdelivery": "true", "x-amz-sns-topic-arn": otherTopic }),
  ],
  ["raw_token", 403, "info", undefined, () => post("{}", `/raw/${"w".repeat(32)}`)],
  ["aborted", null, "info", undefined, breakOff],
];

test.each(causes)("%s counts as such (%s), at level %s", async (cause, status, level, topic, send) => {
  const name = `${refused}"${cause}"}`;
  const before = (await readMetrics(front.url)).get(name) ?? 0;

  expect(await send()).toBe(status);

  await until("it is counted", async () => ((await readMetrics(front.url)).get(name) ?? 0) > before);
  expect(lines[0]).toMatchObject({
    level,
    msg: "notification refused",
    cause,
    request_id: expect.any(String),
  });
  expect(lines[0]?.topic_arn).toBe(topic);
  expect(lines.filter((line) => line.level === "error")).toEqual([]);
  expect(counted(await readMetrics(front.url), "fanmail_notifications_unavailable_total")).toEqual({});
});

test("every cause that is counted has been tried", async () => {
  const names = [...(await readMetrics(front.url)).keys()].filter((name) => name.startsWith(refused));
  expect(names.toSorted()).toEqual(causes.map(([cause]) => `${refused}"${cause}"}`).toSorted());
});

test("what a message claims about itself is logged only where it is of the form of such names", async () => {
  for (const TopicArn of ["jane@example.com", `arn:aws:sns:${"a".repeat(1_000)}:123456789012:x`, "a\nb", 7]) {
    await post(JSON.stringify({ TopicArn, MessageId: "jane@example.com" }));
  }
  expect(lines.map(({ topic_arn, cause }) => [topic_arn, cause])).toEqual(
    Array.from({ length: 4 }, () => [undefined, "not_sns"]),
  );
  expect(JSON.stringify(lines)).not.toContain("example.com");
});

test("refusals fill no disk: twenty of a cause are logged, and those of another cause still are", async () => {
  for (let times = 0; times < 30; times++) await post("hello");
  await post(signed({ TopicArn: otherTopic }));

  expect(lines.map(({ cause }) => cause)).toEqual([...Array(20).fill("not_json"), "unknown_topic"]);
});
