import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { addAbortSignal, type Readable } from "node:stream";
import { type Captured, jsonLines, utf8OrNull } from "./json-lines.ts";
import { uncompressed } from "./uncompressed.ts";

export type ReadOptions = {
  /** Ends the reading, also where standard input keeps it waiting. */
  stopping?: AbortSignal;
  /** @param bytes of the files that have been read since the last time. */
  onBytes?: (bytes: number) => void;
};

/**
 * Reads what was captured: from a file, from all files of a directory in order of their names, or from standard input
 * (`-`), compressed or not. A `.json` file holds one JSON value; any other one a line.
 *
 * @throws when a file cannot be read to its end.
 */
export async function* readCapture(path: string, options: ReadOptions = {}): AsyncGenerator<Captured> {
  if (path === "-") yield* readStream(process.stdin, "standard input", options);
  else
    for (const { file } of await captureFiles(path)) yield* readStream(createReadStream(file), file, options);
}

/** How many bytes there are to read, for progress; null for standard input. */
export async function captureSize(path: string): Promise<number | null> {
  if (path === "-") return null;
  return (await captureFiles(path)).reduce((sum, { size }) => sum + size, 0);
}

export type CaptureFile = { file: string; size: number; modifiedMs: number };

/**
 * The files of a capture, in the order in which they are read.
 * @throws when there are none.
 */
export async function captureFiles(path: string): Promise<CaptureFile[]> {
  const found = await statOf(path);
  if (!found.isDirectory()) return [fileOf(path, found)];
  const names = (await readdir(path)).filter((name) => /\.(json|ndjson|jsonl)(\.gz)?$/.test(name)).sort();
  const files = names.map((name) => join(path, name));
  if (files.length === 0) throw new Error(`${path} holds no .json, .ndjson or .jsonl file`);
  return Promise.all(files.map(async (file) => fileOf(file, await statOf(file))));
}

type Stat = Awaited<ReturnType<typeof stat>>;

function statOf(path: string): Promise<Stat> {
  return stat(path).catch((cause: unknown) => {
    throw new Error(`Cannot read ${path}`, { cause });
  });
}

function fileOf(file: string, { size, mtimeMs }: Stat): CaptureFile {
  return { file, size: Number(size), modifiedMs: Number(mtimeMs) };
}

async function* readStream(
  input: Readable,
  name: string,
  { stopping, onBytes }: ReadOptions,
): AsyncGenerator<Captured> {
  if (stopping) addAbortSignal(stopping, input);
  try {
    const content = uncompressed(counted(input, onBytes ?? (() => {})));
    yield* /\.json(\.gz)?$/.test(name) ? wholeFile(content, name) : jsonLines(content, name);
  } catch (cause) {
    if (stopping?.aborted) return;
    throw new Error(`Cannot read ${name}`, { cause });
  }
}

async function* counted(input: Readable, onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk);
    onBytes(bytes.length);
    yield bytes;
  }
}

async function* wholeFile(content: AsyncIterable<Buffer>, name: string): AsyncGenerator<Captured> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk);
  const text = utf8OrNull(Buffer.concat(chunks)) ?? "";
  try {
    yield { kind: "json", value: JSON.parse(text), text };
  } catch {
    yield { kind: "unreadable", place: name };
  }
}
