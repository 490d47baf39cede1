import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** One captured notification, or why a place in a file is none. */
export type Captured = { kind: "json"; value: unknown; text: string } | { kind: "unreadable"; place: string };

/**
 * Reads captured notifications: from a file, from all files of a directory in order of their names, or from
 * standard input (`-`). A `.json` file holds one JSON value, or an array of them; any other holds one a line.
 *
 * @throws when a file cannot be read.
 */
export async function* readCapture(path: string): AsyncGenerator<Captured> {
  if (path === "-") yield* readLines(process.stdin, "standard input");
  else for (const file of await filesOf(path)) yield* readFileOf(file);
}

/** How many bytes there are to read, for progress; null for standard input. */
export async function captureSize(path: string): Promise<number | null> {
  if (path === "-") return null;
  const sizes = await Promise.all((await filesOf(path)).map(async (file) => (await stat(file)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function filesOf(path: string): Promise<string[]> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new Error(`Cannot read ${path}`, { cause });
  });
  if (!found.isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => /\.(json|ndjson|jsonl)$/.test(name)).sort();
  if (names.length === 0) throw new Error(`${path} holds no .json, .ndjson or .jsonl file`);
  return names.map((name) => join(path, name));
}

async function* readFileOf(file: string): AsyncGenerator<Captured> {
  if (!file.endsWith(".json")) {
    yield* readLines(createReadStream(file), file);
    return;
  }
  const text = await readFile(file, "utf8");
  const whole = parse(text, file);
  if (whole.kind === "json" && Array.isArray(whole.value)) {
    for (const value of whole.value) yield { kind: "json", value, text: JSON.stringify(value) };
  } else yield whole;
}

async function* readLines(input: NodeJS.ReadableStream, name: string): AsyncGenerator<Captured> {
  let line = 0;
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++;
    if (text.trim() !== "") yield parse(text, `${name}:${line}`);
  }
}

function parse(text: string, place: string): Captured {
  try {
    return { kind: "json", value: JSON.parse(text), text };
  } catch {
    return { kind: "unreadable", place };
  }
}
