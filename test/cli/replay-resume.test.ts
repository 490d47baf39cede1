import { readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Ended, run } from "../support/command.ts";
import { dataDirectory, fanmail } from "../support/fanmail-process.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";

/* A replay of 300 notifications into a receiver that takes some of them for now. */

const total = 300;
let directory: { path: string; remove(): Promise<void> };
let sink: TestSink;
let file: string;
/** What the receiver does with the notification of a number. */
let answer: (number: number) => number;

beforeAll(async () => {
  directory = await dataDirectory();
  sink = await webhookSink(({ body }) => ({ status: answer(numberOf(body)) }));
});
afterAll(async () => {
  await sink?.close();
  await directory?.remove();
});
beforeEach(async (context) => {
  sink.received.length = 0;
  file = join(directory.path, `${context.task.id}.ndjson.gz`);
  const lines = Array.from(
    { length: total },
    (_, n) => `${JSON.stringify(sesEvent("Send", { messageId: `${n}` }))}\n`,
  );
  await writeFile(file, gzipSync(lines.join("")));
});

function numberOf(body: string): number {
  return Number(JSON.parse(JSON.parse(body).Message).mail.messageId);
}
const environment = () => ({ DATA_DIR: directory.path });
const args = (...more: string[]) => ["replay", file, "--to", sink.url, "--json", ...more];
const replay = (...more: string[]) => run(args(...more), environment());
const numbers = () => sink.received.map(({ body }) => numberOf(body)).toSorted((one, other) => one - other);
const from = (first: number) => Array.from({ length: total - first }, (_, n) => first + n);
const counts = ({ code, stdout }: Ended) => {
  const { read, stored, resumed_after } = JSON.parse(stdout);
  return { code, read, stored, resumed_after };
};

/** The replay ends in the middle: a hundred are taken, and the receiver is away for the others. */
async function interrupted(signal: "SIGINT" | "SIGTERM" | "SIGKILL", isNoted: () => Promise<boolean>) {
  answer = (number) => (number < 100 ? 200 : 503);
  const { child, ended } = fanmail(args(), environment());
  await until(
    "a hundred are taken and another is refused",
    async () => new Set(numbers()).size > 100 && (await isNoted()),
  );
  child.kill(signal);
  await ended;
  sink.received.length = 0;
  answer = () => 200;
}

const places = () => readdir(join(directory.path, "replays"));
async function isHundredNoted(): Promise<boolean> {
  const names = (await places().catch(() => [])).filter((name) => name.endsWith(".json"));
  const texts = names.map((name) => readFile(join(directory.path, "replays", name), "utf8"));
  return (await Promise.all(texts)).includes('{"taken":100}');
}

test.each(["SIGINT", "SIGTERM"] as const)("after %s it goes on where it was", async (signal) => {
  await interrupted(signal, async () => true);

  const resumed = await replay("--resume");

  expect(resumed.stderr).toBe("Going on after 100 that were taken before.\n");
  expect(counts(resumed)).toEqual({ code: 0, read: total, stored: 200, resumed_after: 100 });
  expect(numbers()).toEqual(from(100));
  expect(await places()).toEqual([]);
});

test("after kill -9 it goes on where it was a second before", async () => {
  await interrupted("SIGKILL", isHundredNoted);
  expect(counts(await replay("--resume"))).toMatchObject({ code: 0, resumed_after: 100 });
  expect(numbers()).toEqual(from(100));
});

test("without --resume it begins anew, and a complete one leaves nothing to go on with", async () => {
  await interrupted("SIGINT", async () => true);
  expect(counts(await replay())).toEqual({ code: 0, read: total, stored: total, resumed_after: undefined });
  expect(numbers()).toEqual(from(0));
  expect(counts(await replay("--resume"))).toEqual({ code: 0, read: total, stored: total, resumed_after: 0 });
});

test("what was refused is posted again, with all that came after it", async () => {
  answer = (number) => (number === 120 ? 403 : 200);
  expect((await replay()).code).toBe(1);
  expect(numbers()).toEqual(from(0));
  sink.received.length = 0;
  answer = () => 200;

  expect(counts(await replay("--resume"))).toMatchObject({ code: 0, resumed_after: 120 });
  expect(numbers()).toEqual(from(120));
});

test("a file that was changed, and one that is replayed in another way, begin anew", async () => {
  await interrupted("SIGINT", async () => true);
  expect(counts(await replay("--resume", "--limit", "5"))).toMatchObject({ stored: 5, resumed_after: 0 });
  await utimes(file, new Date(), new Date("2026-01-01T00:00:00Z"));
  expect(counts(await replay("--resume"))).toMatchObject({ stored: total, resumed_after: 0 });
});

test("a file that cannot be read to its end is replayed as far as it goes, and what was taken is known", async () => {
  answer = () => 200;
  const whole = await readFile(file);
  await writeFile(file, whole.subarray(0, whole.length - 9));
  const cut = await replay();
  expect(cut).toEqual({
    code: 1,
    stdout: "",
    stderr: `fanmail replay: Cannot read ${file}: unexpected end of file\n`,
  });
  const taken = numbers();
  expect(taken).toEqual(from(0).slice(0, taken.length));
  // How much of the readable part is read before its end turns out to be missing is chance; it is not nothing.
  expect(taken.length).toBeGreaterThan(0);
  sink.received.length = 0;

  const again = await replay("--resume");
  expect(again.stderr).toContain(`Going on after ${taken.length} that were taken before.`);
  expect(numbers().filter((number) => number < taken.length)).toEqual([]);
});

test("standard input cannot be resumed", async () => {
  const { code, stderr } = await run(["replay", "-", "--resume"], environment());
  expect(code).toBe(1);
  expect(stderr).toContain("--resume needs a file: standard input is read once");
});
