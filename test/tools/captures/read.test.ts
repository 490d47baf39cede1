import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { captureSize, readCapture } from "../../../src/tools/captures/read.ts";

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-captures-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

async function read(path: string): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const captured of readCapture(path)) {
    found.push(captured.kind === "json" ? captured.value : captured.place.replace(`${directory}/`, ""));
  }
  return found;
}

test("compression is detected by content, whatever the name, also in several gzip members", async () => {
  const parts = Buffer.concat([gzipSync('{"n":1}\n'), gzipSync('{"n":2}\n')]);
  expect(await read(await file("compressed.ndjson", parts))).toEqual([{ n: 1 }, { n: 2 }]);
  expect(await read(await file("plain.ndjson.gz", '{"n":1}\n'))).toEqual([{ n: 1 }]);
  expect(await read(await file("whole.json.gz", gzipSync("[\n1,\n2]")))).toEqual([[1, 2]]);
});

test("a truncated compressed file is an error that names it, after the readable part", async () => {
  const lines = Array.from({ length: 20_000 }, (_, n) => `{"n":${n * 7919}}\n`).join("");
  const whole = gzipSync(lines);
  const path = await file("cut.ndjson.gz", whole.subarray(0, whole.length - 20));
  let count = 0;
  const reading = async () => {
    for await (const _ of readCapture(path)) count++;
  };
  await expect(reading).rejects.toThrow(`Cannot read ${path}`);
  expect(count).toBeGreaterThan(10_000);
});

test("values may be printed over several lines, one after the other", async () => {
  const printed = JSON.stringify({ Messages: [{ Body: "{}" }, { Body: "[\n]" }] }, null, 4);
  const path = await file("printed.ndjson", `${printed}\n{"n":1}\n[\n  1\n]\r\n\n{\n  "open": 1`);
  expect(await read(path)).toEqual([JSON.parse(printed), { n: 1 }, [1], "printed.ndjson:16"]);
});

test("characters are complete wherever the file is cut into chunks, and a byte order mark is dropped", async () => {
  const text = "é\u2028\u{1f600}".repeat(60_000);
  expect(await read(await file("long.ndjson", `\ufeff${JSON.stringify(text)}\n"x"`))).toEqual([text, "x"]);
});

test("bytes that are not UTF-8 are unreadable, and are not replaced", async () => {
  const bad = Buffer.from([0x22, 0x4d, 0xfc, 0x22]);
  const lines = Buffer.concat([Buffer.from("1\n"), bad, Buffer.from("\n2\n[\n"), bad, Buffer.from("\n]\n3")]);
  expect(await read(await file("latin.ndjson", lines))).toEqual([
    1,
    "latin.ndjson:2",
    2,
    "latin.ndjson:4",
    3,
  ]);
  expect(await read(await file("latin.json", bad))).toEqual(["latin.json"]);
});

test("an empty file and one of a single byte contain nothing readable", async () => {
  expect(await read(await file("empty.ndjson", ""))).toEqual([]);
  expect(await read(await file("byte.ndjson", "x"))).toEqual(["byte.ndjson:1"]);
});

test("progress reports all bytes on disk", async () => {
  const path = await file("bytes.ndjson", gzipSync('{"n":1}\n'.repeat(10_000)));
  let bytes = 0;
  const onBytes = (more: number) => {
    bytes += more;
  };
  for await (const _ of readCapture(path, { onBytes }));
  expect(bytes).toBe(await captureSize(path));
});
