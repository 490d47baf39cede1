import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ended, run } from "../support/command.ts";
import { dataDirectory, fanmail } from "../support/fanmail-process.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type Answer, type TestSink, webhookSink } from "../support/webhook-sink.ts";

let directory: { path: string; remove(): Promise<void> };

beforeAll(async () => {
  directory = await dataDirectory();
});
afterAll(() => directory?.remove());

const replay = (args: string[], stdin = "") => run(["replay", ...args], { DATA_DIR: directory.path }, stdin);

async function capture(name: string, content: string): Promise<string> {
  const path = join(directory.path, name);
  await writeFile(path, content);
  return path;
}

const send = (messageId: string) => sesEvent("Send", { messageId });
const lines = (...values: unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join("");
const nothing = { read: 0, stored: 0, duplicates: 0, retries: 0, failed: {}, unreadable: [] };
const json = ({ code, stdout }: Ended) => [code, JSON.parse(stdout)];

const stored: Answer = { status: 200, body: '{"status":"stored"}' };

async function withSink<Result>(
  answer: (number: number) => Answer,
  work: (sink: TestSink) => Promise<Result>,
): Promise<Result> {
  const sink = await webhookSink((_request, number) => answer(number));
  try {
    return await work(sink);
  } finally {
    await sink.close();
  }
}

test("SNS envelopes are sent as they are, byte for byte", async () => {
  const envelope = {
    Type: "Notification",
    MessageId: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    Message: asMessage(send("kept")),
    Signature: "abc=",
    Unknown: { é: "\u{1f600}" },
  };
  const line = JSON.stringify(envelope).replace('{"Type"', '{  "Type"').replace("é", "\\u00e9");

  await withSink(
    () => stored,
    async ({ url, received }) => {
      const file = await capture("envelopes.ndjson", `${line}\n`);
      expect((await replay([file, "--to", url])).code).toBe(0);
      expect(received.map(({ body }) => body)).toEqual([line]);

      const array = await capture("envelopes.json", `[ ${line} ]`);
      expect((await replay([array, "--to", url])).code).toBe(0);
      expect(JSON.parse(received[1]?.body ?? "")).toEqual(envelope);
      expect(received[1]?.headers["content-type"]).toBe("text/plain; charset=UTF-8");
    },
  );
});

test("503 is tried again until it is taken", async () => {
  await withSink(
    (number) => (number <= 2 ? { status: 503, body: '{"error":"later"}' } : stored),
    async ({ url, received }) => {
      const ended = await replay(["-", "--to", url, "--json"], lines(send("retried")));
      expect(json(ended)).toEqual([0, { ...nothing, read: 1, stored: 1, retries: 2 }]);
      expect(received).toHaveLength(3);
      expect(new Set(received.map(({ body }) => body)).size).toBe(1);
    },
  );
});

test("429 is tried again too", async () => {
  await withSink(
    (number) => (number === 1 ? { status: 429, headers: { "retry-after": "1" } } : stored),
    async ({ url }) => {
      const ended = await replay(["-", "--to", url, "--json"], lines(send("limited")));
      expect(json(ended)).toEqual([0, { ...nothing, read: 1, stored: 1, retries: 1 }]);
    },
  );
});

test.each([400, 403, 404, 413])("%i is final", async (status) => {
  await withSink(
    () => ({ status, body: '{"error":"no"}' }),
    async ({ url, received }) => {
      const ended = await replay(["-", "--to", url, "--json"], lines(send("x"), send("y")));
      expect(json(ended)).toEqual([1, { ...nothing, read: 2, failed: { [`${status} no`]: 2 } }]);
      expect(received).toHaveLength(2);
    },
  );
});

test("a receiver that does not know the local certificate is not asked again: it is said at once", async () => {
  const body = '{"error":"Cannot get the SNS certificate https://sns.us-east-1.amazonaws.com/x.pem"}';
  await withSink(
    () => ({ status: 503, body }),
    async ({ url, received }) => {
      const many = Array.from({ length: 200 }, (_, number) => send(`${number}`));
      const { code, stderr } = await replay(["-", "--to", url], lines(...many));
      expect(code).toBe(1);
      expect(stderr).toContain("Start the receiver with SNS_TOPIC_ARNS=");
      expect(received.length).toBeLessThan(100);
    },
  );
});

test("what is not taken in time is given up, with the last cause", async () => {
  await withSink(
    () => ({ status: 503, body: '{"error":"later"}' }),
    async ({ url, received }) => {
      const args = ["-", "--to", url, "--json", "--give-up-after", "0.3"];
      const [code, summary] = json(await replay(args, lines(send("x"))));
      expect([code, summary]).toEqual([
        1,
        { ...nothing, read: 1, retries: received.length - 1, failed: { "503 later": 1 } },
      ]);
      expect(received.length).toBeGreaterThan(1);
    },
  );
});

test("--rate keeps the next one back until its time; Ctrl-C ends the wait, with what was done and 1", async () => {
  await withSink(
    () => stored,
    async ({ url, received }) => {
      const file = await capture("rate.ndjson", lines(send("now"), send("in a thousand seconds")));
      const args = ["replay", file, "--to", url, "--rate", "0.001", "--json"];
      const { child, ended } = fanmail(args, { DATA_DIR: directory.path });
      await until("the first is received", () => received.length > 0);

      child.kill("SIGINT");

      const { code, stdout } = await ended;
      expect(code).toBe(1);
      expect(received).toHaveLength(1);
      expect(JSON.parse(stdout)).toEqual({ ...nothing, read: 2, stored: 1 });
    },
  );
});

test("Ctrl-C ends the wait for a receiver that is away", async () => {
  await withSink(
    () => ({ status: 503, headers: { "retry-after": "5" } }),
    async ({ url, received }) => {
      const file = await capture(
        "away.ndjson",
        lines(...Array.from({ length: 40 }, (_, n) => send(`n${n}`))),
      );
      const { child, ended } = fanmail(["replay", file, "--to", url, "--json"], {
        DATA_DIR: directory.path,
      });
      await until("all connections have been answered", () => received.length >= 32);

      child.kill("SIGINT");

      const { code, stdout, stderr } = await ended;
      expect([code, stderr]).toEqual([1, ""]);
      expect(JSON.parse(stdout)).toMatchObject({ stored: 0, duplicates: 0, failed: { "503": 32 } });
    },
  );
});
