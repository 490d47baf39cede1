import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { open, rename, rm, stat } from "node:fs/promises";
import { PassThrough, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { z } from "zod";
import type { EmailEventType } from "../../domain/mail/event-names.ts";
import { interpretNotification } from "../../domain/mail/interpret-notification.ts";
import { dayMs } from "../../domain/time-text.ts";
import type { Database } from "../../storage/database.ts";
import { journalDays } from "../../storage/partitions.ts";
import { type CaptureFilter, type JournalEntry, readJournalDay } from "./captures.sql.ts";
import { type PseudonymOptions, pseudonymisedNotification } from "./pseudonymise.ts";

export type CaptureOptions = CaptureFilter & {
  /** As written in the envelopes; null: all topics. */
  topicArn: string | null;
  /** Only notifications about one of these events; null: all, including those about none. */
  types: ReadonlySet<EmailEventType> | null;
  /** null: as stored. */
  pseudonymise: PseudonymOptions | null;
  /** Ends the capture early. */
  stopping: AbortSignal;
  /** @param read how many notifications have been read. */
  onProgress?: (read: number, captured: number) => void;
};

export type CaptureSummary = {
  /** How many notifications were read, and how many of them were captured. */
  read: number;
  captured: number;
  /** When SNS published the first and the last captured one. */
  first: Date | null;
  last: Date | null;
};

const Envelope = z.looseObject({ TopicArn: z.string().optional().catch(undefined) });

/** Writes notifications from the journal, one SNS envelope per line, in the order in which SNS published them. */
export async function captureJournal(
  db: Database,
  target: CaptureTarget,
  options: CaptureOptions,
): Promise<CaptureSummary> {
  const summary: CaptureSummary = { read: 0, captured: 0, first: null, last: null };
  for (const day of await journalDays(db)) {
    if (options.stopping.aborted) break;
    if (!isWithin(day, options)) continue;
    await readJournalDay(db, day, options, async (entries) => {
      const taken = entries.filter((entry) => isTaken(entry, options));
      await target.write(taken.map(({ body }) => `${lineOf(body, options)}\n`).join(""));
      summary.read += entries.length;
      summary.captured += taken.length;
      summary.first ??= taken[0]?.sns_timestamp ?? null;
      summary.last = taken.at(-1)?.sns_timestamp ?? summary.last;
      options.onProgress?.(summary.read, summary.captured);
      return !options.stopping.aborted;
    });
  }
  return summary;
}

function isWithin(day: string, { from, to }: CaptureFilter): boolean {
  const startMs = Date.parse(day);
  return (from === null || startMs + dayMs > from.getTime()) && (to === null || startMs < to.getTime());
}

function isTaken(entry: JournalEntry, { topicArn, types }: CaptureOptions): boolean {
  return (topicArn === null || topicOf(entry.body) === topicArn) && (types === null || isAbout(entry, types));
}

function topicOf(body: string): string | undefined {
  return Envelope.parse(JSON.parse(body)).TopicArn;
}

function isAbout(
  { project_id, body, sns_timestamp }: JournalEntry,
  types: ReadonlySet<EmailEventType>,
): boolean {
  const read = interpretNotification(project_id, body, sns_timestamp);
  return read.kind === "events" && read.events.some(({ event }) => types.has(event.type));
}

/** JSON has line breaks only between tokens, so replacing them with spaces changes nothing that is signed. */
function lineOf(body: string, { pseudonymise }: CaptureOptions): string {
  return pseudonymise === null
    ? body.replaceAll(/[\r\n]+/g, " ")
    : pseudonymisedNotification(body, pseudonymise);
}

/** The destination of a capture. */
export type CaptureTarget = {
  /** Waits while the reader is slower. */
  write(text: string): Promise<void>;
  /** Completes it: a file gets its name only now. */
  finish(): Promise<void>;
  /** Removes what was written. */
  discard(): Promise<void>;
};

/**
 * A file, compressed if its name ends with `.gz`. It is written under another name beside it, readable by its owner
 * only, and replaces an existing file when it is complete.
 * @throws when the path exists and is not a file.
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
  // write() and finish() report the error; until then it must not count as an unhandled rejection.
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
