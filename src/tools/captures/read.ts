import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { addAbortSignal, pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";

export type ReadOptions = {
  /** Ends the reading, even while it waits for standard input. */
  stopping?: AbortSignal;
  /** @param bytes read from the files since the last call. */
  onBytes?: (bytes: number) => void;
};

/**
 * Reads a capture: a file, all files of a directory in name order, or standard input (`-`), compressed or not. A `.json`
 * file contains one JSON value; any other file one per line.
 * @throws when a file cannot be read to its end.
 */
export async function* readCapture(path: string, options: ReadOptions = {}): AsyncGenerator<Captured> {
  if (path === "-") yield* readStream(process.stdin, "standard input", options);
  else
    for (const { file } of await captureFiles(path)) yield* readStream(createReadStream(file), file, options);
}

/** The total size in bytes, for progress; null for standard input. */
export async function captureSize(path: string): Promise<number | null> {
  if (path === "-") return null;
  return (await captureFiles(path)).reduce((sum, { size }) => sum + size, 0);
}

export type CaptureFile = { file: string; size: number; modifiedMs: number };

/**
 * The files of a capture, in reading order.
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

/** One JSON value of a capture, or a place that does not contain valid JSON. */
export type Captured = { kind: "json"; value: unknown; text: string } | { kind: "unreadable"; place: string };

/**
 * Reads one JSON value per line. A value pretty-printed over several lines, as by the AWS CLI, starts with a line that is
 * only `{` or `[`, and ends with one that is only `}` or `]`.
 */
async function* jsonLines(content: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Captured> {
  let number = 0;
  let printed: { place: string; lines: string[] } | null = null;
  for await (const line of linesOf(content)) {
    number++;
    if (line === null) {
      if (printed !== null) printed.lines.push(unreadableLine);
      else yield { kind: "unreadable", place: `${name}:${number}` };
    } else if (printed !== null) {
      printed.lines.push(line);
      if (!/^[}\]]\s*$/.test(line)) continue;
      yield parsed(printed.lines.join("\n"), printed.place);
      printed = null;
    } else if (/^[{[]\s*$/.test(line)) {
      printed = { place: `${name}:${number}`, lines: [line] };
    } else if (line.trim() !== "") yield parsed(line, `${name}:${number}`);
  }
  if (printed !== null) yield { kind: "unreadable", place: printed.place };
}

function parsed(text: string, place: string): Captured {
  try {
    return { kind: "json", value: JSON.parse(text), text };
  } catch {
    return { kind: "unreadable", place };
  }
}

/** Not valid JSON, neither alone nor among other lines. */
const unreadableLine = "\u0000";

/** Lines without their line ends; null for one that is not UTF-8. */
async function* linesOf(content: AsyncIterable<Uint8Array>): AsyncGenerator<string | null> {
  let open: Uint8Array[] = [];
  for await (const chunk of content) {
    let from = 0;
    for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, from)) {
      yield textOf([...open, chunk.subarray(from, end)]);
      open = [];
      from = end + 1;
    }
    open.push(chunk.subarray(from));
  }
  const last = textOf(open);
  if (last !== "") yield last;
}

const lineFeed = 0x0a;

function textOf(parts: readonly Uint8Array[]): string | null {
  const line = utf8OrNull(Buffer.concat(parts));
  return line?.endsWith("\r") ? line.slice(0, -1) : line;
}

/** Decodes UTF-8, without a byte order mark; null for invalid UTF-8. */
function utf8OrNull(bytes: Buffer): string | null {
  return isUtf8(bytes) ? new TextDecoder().decode(bytes) : null;
}

/** Decompresses content that starts with gzip's magic number, whatever the file name; passes on everything else. */
async function* uncompressed(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const chunks = content[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < 2) {
    const next = await chunks.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  const whole = following(head, chunks);
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    yield* whole;
    return;
  }
  // An error of either ends both; the reader of the result gets it.
  yield* pipeline(Readable.from(whole), createGunzip(), () => {});
}

async function* following(head: Buffer, chunks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  yield* { [Symbol.asyncIterator]: () => chunks };
}
