import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { run } from "../support/command.ts";
import { fanmail } from "../support/fanmail-process.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { testTopic } from "../support/sns-signer.ts";
import { until } from "../support/wait.ts";
import {
  bodiesOf,
  directory,
  envelope,
  environment,
  foreignTopic,
  idOf,
  json,
  lines,
  ownTopic,
  replay,
  service,
  setUp,
  stored,
  to,
} from "./replay-receiver.ts";

setUp();

describe("envelopes without a signature are signed here", () => {
  test("and keep their MessageId, time, topic and message, so that they are the same messages again", async () => {
    const unsigned = envelope("unsigned", {
      Message: JSON.stringify(sesEvent("Send", { messageId: "unsigned" })),
    });
    const { ended, bodies } = await stored(() => replay(lines(unsigned)));
    expect(json(ended)).toMatchObject([0, { stored: 1 }]);
    expect(bodies).toMatchObject([unsigned]);
    expect(json(await replay(lines(unsigned)))).toMatchObject([0, { stored: 0, duplicates: 1 }]);
  });

  test("those of a queue are of --topic", async () => {
    const queued = envelope("queued", { TopicArn: "arn:aws:sqs:eu-west-1:123456789012:queue" });
    const { bodies } = await stored(() => replay(lines(queued)));
    expect(bodies).toMatchObject([{ ...queued, TopicArn: ownTopic }]);
    const other = { ...queued, MessageId: randomUUID() };
    expect((await stored(() => replay(lines(other), "--topic", testTopic))).bodies).toMatchObject([
      { ...other, TopicArn: testTopic },
    ]);
  });
});

test("standard input may be compressed, and hold what the AWS CLI, Lambda and EventBridge hand out", async () => {
  const message = (messageId: string) => JSON.stringify(envelope(messageId));
  const payload = (messageId: string) => sesEvent("Send", { messageId });
  const received = { Messages: ["q1", "q2"].map((id) => ({ MessageId: id, Body: message(id) })) };
  const text = [
    JSON.stringify(received, null, 4),
    JSON.stringify({ MessageId: "1", ReceiptHandle: "x", Body: message("q3") }),
    JSON.stringify({ Records: [{ messageId: "1", body: JSON.stringify(payload("l1")) }] }),
    JSON.stringify({ Records: [{ EventSource: "aws:sns", Sns: { ...envelope("l2"), Subject: null } }] }),
    JSON.stringify({ "detail-type": "Email Sent", detail: payload("e1") }),
  ].join("\n");
  const { ended, bodies } = await stored(() => replay(gzipSync(text)));
  expect(json(ended)).toMatchObject([0, { read: 6, stored: 6 }]);
  expect(bodies.map(idOf).toSorted()).toEqual(["e1", "l1", "l2", "q1", "q2", "q3"]);
});

test("a directory's files are read in order of their names, compressed ones too", async () => {
  const path = join(directory.path, "captures");
  await mkdir(path);
  const line = (id: string) => lines(sesEvent("Send", { messageId: id }));
  await writeFile(join(path, "b.jsonl.gz"), gzipSync(line("dir-b")));
  await writeFile(join(path, "a.json.gz"), gzipSync(line("dir-a")));
  await writeFile(join(path, "c.ndjson"), line("dir-c"));
  await writeFile(join(path, "d.gz"), gzipSync(line("dir-d")));
  const { bodies } = await stored(() => run(["replay", path, "--to", to, "--limit", "2"], environment()));
  expect(bodies.map(idOf).toSorted()).toEqual(["dir-a", "dir-b"]);
});

describe("a part of a capture", () => {
  const some = (name: string) => [
    sesEvent("Send", { messageId: `${name}-send` }),
    sesEvent("Open", { messageId: `${name}-open`, after: 60 }),
    { notificationType: "AmazonSnsSubscriptionSucceeded", message: name },
    sesEvent("Click", { messageId: `${name}-click`, after: 90 }),
  ];
  const names = (bodies: Record<string, string>[]) =>
    bodies.map(({ Message = "" }) => JSON.parse(Message).mail?.messageId ?? "set-up").toSorted();

  test("--only posts what tells of these events", async () => {
    const { ended, bodies } = await stored(() => replay(lines(...some("only")), "--only", "open,click"));
    expect(json(ended)).toMatchObject([0, { read: 2, stored: 2, left_out: 2 }]);
    expect(names(bodies)).toEqual(["only-click", "only-open"]);
  });

  test("--except leaves them out, --limit counts what is posted", async () => {
    const args = ["--except", "open", "--limit", "2"];
    const { ended, bodies } = await stored(() => replay(lines(...some("except")), ...args));
    expect(json(ended)).toMatchObject([0, { read: 2, stored: 2, left_out: 1 }]);
    expect(names(bodies)).toEqual(["except-send", "set-up"]);
  });
});

test("a topic of AWS's that is not allow-listed is named with what allows it", async () => {
  const foreign = service.signer.notification(asMessage(sesEvent("Send")), { TopicArn: foreignTopic });
  const { code, stderr } = await replay(lines(foreign));
  expect([code, stderr]).toEqual([1, `Allow the topic with: npx fanmail topics add ${foreignTopic}\n`]);
});

test("--speed keeps the next one back for as long as passed between them, scaled", async () => {
  const [now, later] = [0, 1_000_000].map((after) =>
    sesEvent("Open", { messageId: `speed-${after}`, after }),
  );
  const { ended, bodies } = await stored(async () => {
    const count = (await bodiesOf()).length;
    const path = join(directory.path, "speed.ndjson");
    await writeFile(path, lines(now, later));
    const args = ["replay", path, "--to", to, "--speed", "1x", "--json"];
    const slow = fanmail(args, environment());
    await until("the first is stored", async () => (await bodiesOf()).length > count);
    slow.child.kill("SIGINT");
    return slow.ended;
  });
  expect(json(ended)).toMatchObject([1, { read: 2, stored: 1, failed: {} }]);
  expect(bodies.map(idOf)).toEqual(["speed-0"]);
  const fast = await stored(() => replay(lines(now, later), "--speed", "1000000x"));
  expect(json(fast.ended)).toMatchObject([0, { stored: 1, duplicates: 1 }]);
});

test("Ctrl-C ends a replay that waits for standard input", async () => {
  const main = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
  const env = { PATH: process.env["PATH"] ?? "", ...environment() };
  const child = spawn(process.execPath, [main, "replay", "-", "--to", to, "--json"], { env });
  const { ended, bodies } = await stored(async () => {
    let stdout = "";
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    const closed = once(child, "close");
    const count = (await bodiesOf()).length;
    child.stdin.write(lines(sesEvent("Send", { messageId: "waits" })));
    await until("it is stored", async () => (await bodiesOf()).length > count);
    child.kill("SIGINT");
    const [code] = await closed;
    return { code, stdout, stderr: "" };
  });
  expect(json(ended)).toMatchObject([1, { read: 1, stored: 1, failed: {} }]);
  expect(bodies.map(idOf)).toEqual(["waits"]);
});

test.each([
  ["--rate 1 --speed 2x", "--rate and --speed exclude each other"],
  ["--speed fast", "--speed takes a number above 0"],
  ["--speed 0x", "--speed takes a number above 0"],
  ["--only open --except click", "--only and --except exclude each other"],
  ["--only opens", "Unknown event types: opens. There are: send, delivered"],
  ["--limit 0", "--limit takes a whole number above 0"],
  ["--limit 1.5", "--limit takes a whole number above 0"],
])("%s is refused", async (args, message) => {
  const { code, stderr } = await run(["replay", "-", ...args.split(" ")], environment());
  expect(code).toBe(1);
  expect(stderr).toContain(`fanmail replay: ${message}`);
});
