import { z } from "zod";
import type { EmailEventType } from "../../domain/mail/event-names.ts";
import { interpretNotification } from "../../domain/mail/interpret-notification.ts";
import type { Database } from "../../storage/database.ts";
import { journalDays } from "../../storage/partitions.ts";
import type { CaptureTarget } from "./capture-file.ts";
import { type CaptureFilter, type JournalEntry, readJournalDay } from "./captures.sql.ts";
import { type PseudonymOptions, pseudonymisedNotification } from "./pseudonym-notification.ts";

export type CaptureOptions = CaptureFilter & {
  /** As the envelopes spell it; null: of all. */
  topicArn: string | null;
  /** Only notifications that tell of one of these; null: all, also those that tell of nothing. */
  types: ReadonlySet<EmailEventType> | null;
  /** null: as they are stored. */
  pseudonymise: PseudonymOptions | null;
  /** Ends it early. */
  stopping: AbortSignal;
  /** @param read how many have been looked at. */
  onProgress?: (read: number, captured: number) => void;
};

export type CaptureSummary = {
  /** How many were looked at, and how many of them were taken. */
  read: number;
  captured: number;
  /** The times at which SNS published the first and the last of them. */
  first: Date | null;
  last: Date | null;
};

const Envelope = z.looseObject({ TopicArn: z.string().optional().catch(undefined) });

/** Writes notifications of the journal, one SNS envelope a line, in the order in which SNS published them. */
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
  return (from === null || startMs + 86_400_000 > from.getTime()) && (to === null || startMs < to.getTime());
}

function isTaken(entry: JournalEntry, { topicArn, types }: CaptureOptions): boolean {
  return (topicArn === null || topicOf(entry.body) === topicArn) && (types === null || tellsOf(entry, types));
}

function topicOf(body: string): string | undefined {
  return Envelope.parse(JSON.parse(body)).TopicArn;
}

function tellsOf(
  { project_id, body, sns_timestamp }: JournalEntry,
  types: ReadonlySet<EmailEventType>,
): boolean {
  const read = interpretNotification(project_id, body, sns_timestamp);
  return read.kind === "events" && read.events.some(({ event }) => types.has(event.type));
}

/** Line breaks in JSON are only between its parts, so that a space in their place changes nothing that is signed. */
function lineOf(body: string, { pseudonymise }: CaptureOptions): string {
  return pseudonymise === null
    ? body.replaceAll(/[\r\n]+/g, " ")
    : pseudonymisedNotification(body, pseudonymise);
}
