import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { open, rename, rm, stat } from "node:fs/promises";
import { PassThrough, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** Where a capture is written to. */
export type CaptureTarget = {
  /** Waits while whoever reads is slower. */
  write(text: string): Promise<void>;
  /** Makes it whole: only now a file has its name. */
  finish(): Promise<void>;
  /** Leaves nothing behind. */
  discard(): Promise<void>;
};

/**
 * A file, compressed when its name ends with `.gz`. It is written under another name beside it, for its owner's eyes
 * only, and replaces what has the name when it is complete.
 * @throws when the name is taken by something else than a file.
 */
export async function fileTarget(path: string): Promise<CaptureTarget> {
  const taken = await stat(path).catch(() => null);
  if (taken !== null && !taken.isFile()) throw new Error(`${path} is there already and is not a file`);
  const draft = `${path}.${randomBytes(4).toString("hex")}.part`;
  const handle = await open(draft, "wx", 0o600).catch((cause: unknown) => {
    throw new Error(`Cannot write ${path}`, { cause });
  });
  const head = path.endsWith(".gz") ? createGzip() : new PassThrough();
  const stopped = new AbortController();
  const done = pipeline(head, handle.createWriteStream({ flush: true }), { signal: stopped.signal });
  // Told by whoever waits for it; until somebody does it is no unhandled one.
  done.catch(() => {});
  return {
    write: (text) => writeTo(head, text, done),
    async finish() {
      head.end();
      await done;
      await rename(draft, path);
    },
    async discard() {
      stopped.abort();
      await done.catch(() => {});
      await rm(draft, { force: true });
    },
  };
}

/** Standard output. */
export function outputTarget(output: Writable): CaptureTarget {
  return {
    write: (text) => writeTo(output, text, new Promise(() => {})),
    finish: async () => {},
    discard: async () => {},
  };
}

async function writeTo(stream: Writable, text: string, failure: Promise<void>): Promise<void> {
  if (stream.write(text)) return;
  await Promise.race([once(stream, "drain"), failure]);
}
