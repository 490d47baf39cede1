import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ended, run } from "../support/command.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { dataDirectory } from "../support/fanmail-process.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";

const topic = "arn:aws:sns:us-east-1:000000000000:fanmail-replay";
let directory: { path: string; remove(): Promise<void> };

beforeAll(async () => {
  directory = await dataDirectory();
});
afterAll(() => directory?.remove());

const replay = (args: string[], stdin = "") => run(["replay", ...args], { DATA_DIR: directory.path }, stdin);

async function capture(name: string, content: string): Promise<string> {
  const path = join(directory.path, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, content);
  return path;
}

const send = (messageId: string) => sesEvent("Send", { messageId });
const lines = (...values: unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join("");
const nothing = { read: 0, stored: 0, duplicates: 0, retries: 0, failed: {}, unreadable: [] };
const json = ({ code, stdout }: Ended) => [code, JSON.parse(stdout)];

describe("against a receiver", () => {
  let database: TestDatabase;
  let service: TestService;
  let to: string;
  let refusal: Ended;

  beforeAll(async () => {
    database = await testDatabase();
    const roles = { receiver: true, workers: false };
    const strict = await startTestService({ databaseUrl: database.url, roles });
    const file = await capture("refused.ndjson", lines(send("r1"), send("r2")));
    refusal = await replay([file, "--to", `${strict.url}/ingest/sns`]);
    await strict.close();
    // The service is started as the refusal says.
    const [, arns = "", certificates = ""] =
      /^Start the receiver with SNS_TOPIC_ARNS=(\S+) and\n {2}SNS_LOCAL_CERTS=(\S+)\n$/.exec(
        refusal.stderr,
      ) ?? [];
    service = await startTestService({
      databaseUrl: database.url,
      roles,
      environment: { SNS_TOPIC_ARNS: arns, SNS_LOCAL_CERTS: certificates },
    });
    to = `${service.url}/ingest/sns`;
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  async function messagesOf(texts: string[]): Promise<number> {
    const rows = await database.db.query<{ body: string }>("select body from notifications");
    const stored = rows.map(({ body }) => (JSON.parse(body) as { Message: string }).Message);
    return texts.filter((text) => stored.includes(text)).length;
  }

  test("that does not know the topic: the cause, how to start it, and 1", () => {
    expect(refusal.code).toBe(1);
    expect(refusal.stdout).toBe(
      [
        "read            2",
        "stored          0",
        "duplicates      0",
        "repeated tries  0",
        "not taken       2  403 This topic is not allow-listed; allow it with SNS_TOPIC_ARNS or `fanmail topics add`",
        "",
      ].join("\n"),
    );
    expect(refusal.stderr).toContain(`SNS_TOPIC_ARNS=${topic} and\n  SNS_LOCAL_CERTS=https://sns.us-east-1.`);
  });

  test("bare payloads of a file are wrapped and stored; replayed again they are duplicates", async () => {
    const payloads = [send("f1"), send("f2"), send("f3")];
    const file = await capture("file.ndjson", lines(...payloads));

    expect(json(await replay([file, "--to", to, "--json"]))).toEqual([0, { ...nothing, read: 3, stored: 3 }]);
    expect(json(await replay([file, "--to", to, "--json"]))).toEqual([
      0,
      { ...nothing, read: 3, duplicates: 3 },
    ]);

    expect(await messagesOf(payloads.map(asMessage))).toBe(3);
  });

  test("the summary is told in words where --json is not asked for", async () => {
    const file = await capture("words.ndjson", lines(send("w1"), send("w1")));
    expect(await replay([file, "--to", to])).toEqual({
      code: 0,
      stdout: "read            2\nstored          1\nduplicates      1\nrepeated tries  0\n",
      stderr: "",
    });
  });

  test("all captures of a directory are sent, and nothing else in it", async () => {
    await capture("week/b.jsonl", lines(send("d1")));
    await capture("week/a.ndjson", lines(send("d2"), send("d3")));
    await capture("week/c.json", JSON.stringify(send("d4"), null, 2));
    await capture("week/README.md", "no capture");

    const ended = await replay([join(directory.path, "week"), "--to", to, "--json"]);

    expect(json(ended)).toEqual([0, { ...nothing, read: 4, stored: 4 }]);
    expect(await messagesOf(["d1", "d2", "d3", "d4"].map((id) => asMessage(send(id))))).toBe(4);
  });

  test("standard input is read as lines, with any line ends and with empty lines", async () => {
    const text = `\n${lines(send("i1"))}\r\n  \n${lines(send("i2")).replace("\n", "\r\n")}${JSON.stringify(send("i3"))}`;
    const ended = await replay(["-", "--to", to, "--json"], text);
    expect(json(ended)).toEqual([0, { ...nothing, read: 3, stored: 3 }]);
    expect(await messagesOf(["i1", "i2", "i3"].map((id) => asMessage(send(id))))).toBe(3);
  });

  test("a .json file may hold an array", async () => {
    const file = await capture("array.json", JSON.stringify([send("a1"), send("a2")], null, 2));
    expect(json(await replay([file, "--to", to, "--json"]))).toEqual([0, { ...nothing, read: 2, stored: 2 }]);
    expect(await messagesOf(["a1", "a2"].map((id) => asMessage(send(id))))).toBe(2);
  });

  test("a line that is no JSON is named, the rest is sent, and it ends with 1", async () => {
    const file = await capture("broken.ndjson", `${lines(send("b1"))}{"half":\n${lines(send("b2"))}nonsense`);

    const ended = await replay([file, "--to", to]);

    expect(ended).toMatchObject({ code: 1, stderr: "" });
    expect(ended.stdout.split("\n").slice(-3)).toEqual([
      `no JSON         ${file}:2`,
      `no JSON         ${file}:4`,
      "",
    ]);
    expect(await messagesOf(["b1", "b2"].map((id) => asMessage(send(id))))).toBe(2);
    const fromInput = await replay(["-", "--to", to, "--json"], "x\n");
    expect(json(fromInput)).toEqual([1, { ...nothing, unreadable: ["standard input:1"] }]);
  });

  test("envelopes of another topic are refused by the receiver, the others pass", async () => {
    const foreign = service.signer.notification(asMessage(send("e1")), {
      TopicArn: "arn:aws:sns:eu-west-1:999999999999:other",
    });
    const file = await capture("mixed.ndjson", lines(foreign, send("e2")));

    const [code, summary] = json(await replay([file, "--to", to, "--json"]));

    expect(code).toBe(1);
    expect(summary).toEqual({
      ...nothing,
      read: 2,
      stored: 1,
      failed: {
        "403 This topic is not allow-listed; allow it with SNS_TOPIC_ARNS or `fanmail topics add`": 1,
      },
    });
  });
});

describe("what cannot be replayed ends with 1", () => {
  test("a receiver that is not there", async () => {
    const args = ["-", "--to", "http://127.0.0.1:1/ingest/sns", "--json", "--give-up-after", "0.1"];
    const [code, summary] = json(await replay(args, lines(send("x"))));
    expect([code, summary]).toEqual([
      1,
      { ...nothing, read: 1, retries: expect.any(Number), failed: { "no answer (ECONNREFUSED)": 1 } },
    ]);
  });

  test.each([
    ["a file that is not there", "missing.ndjson", /^fanmail replay: Cannot read .+missing\.ndjson: ENOENT/],
    [
      "a directory without a capture",
      "empty",
      /^fanmail replay: .+empty holds no \.json, \.ndjson or \.jsonl file\n$/,
    ],
  ])("%s", async (_what, name, message) => {
    await mkdir(join(directory.path, "empty"), { recursive: true });
    const { code, stdout, stderr } = await replay([join(directory.path, name)]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(message);
  });
});
