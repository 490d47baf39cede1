import { print, table } from "../src/cli/command.ts";
import { listActivity } from "../src/http/routes/activity.sql.ts";
import type { Database } from "../src/storage/database.ts";
import type { ApiClient } from "./api-client.ts";
import type { Mailing } from "./emails.ts";
import { timed } from "./measure.ts";
import { peakWhile, residentBytes } from "./memory.ts";

/** The allowed ratio of the memory for all rows to that for a tenth of them. */
const mostTimesTheMemory = 1.25;

/** Prints the cost of CSV for a tenth and for all rows. @returns whether it is complete, with no more memory. */
export async function compareCsv(
  api: ApiClient,
  pid: number,
  db: Database,
  { projectId, emails }: Mailing,
): Promise<boolean> {
  const tenthOfRows = { limit: 1, offset: Math.floor(emails / 10) - 1 };
  const [oldest] = await listActivity(db, { projectId }, tenthOfRows);
  const tenth = await streamed(api, pid, `/v1/activity.csv?since=${oldest?.created_at.toISOString()}`);
  const all = await streamed(api, pid, "/v1/activity.csv");
  const heads = ["CSV", "rows", "MB", "seconds", "MB/s", "RSS before, MB", "RSS peak, MB"];
  const rows = [heads, ["the newest tenth", ...figures(tenth)], ["all", ...figures(all)]];
  for (const line of table(rows)) print(line);
  const times = all.peakBytes / tenth.peakBytes;
  const isSmall = times <= mostTimesTheMemory;
  const isWhole = all.rows === emails;
  print(
    `\nTimes the memory for ten times the rows: ${times.toFixed(2)}, within ${mostTimesTheMemory}: ${yes(isSmall)}`,
  );
  print(`Each email is a row: ${yes(isWhole)}`);
  return isSmall && isWhole;
}

type Streamed = { rows: number; bytes: number; tookMs: number; beforeBytes: number; peakBytes: number };

async function streamed(api: ApiClient, pid: number, path: string): Promise<Streamed> {
  let [lines, bytes, tookMs] = [0, 0, 0];
  const beforeBytes = await residentBytes(pid);
  const peakBytes = await peakWhile(pid, async () => {
    tookMs = await timed(async () => {
      for await (const piece of await api.stream(path)) {
        lines += linesIn(piece);
        bytes += piece.length;
      }
    });
  });
  // The first line is the header.
  return { rows: lines - 1, bytes, tookMs, beforeBytes, peakBytes };
}

const newline = 10;

function linesIn(piece: Buffer): number {
  let lines = 0;
  for (let at = piece.indexOf(newline); at !== -1; at = piece.indexOf(newline, at + 1)) lines++;
  return lines;
}

function figures({ rows, bytes, tookMs, beforeBytes, peakBytes }: Streamed): string[] {
  const seconds = tookMs / 1000;
  return [
    rows.toLocaleString("en"),
    megabytes(bytes).toFixed(0),
    seconds.toFixed(1),
    (megabytes(bytes) / seconds).toFixed(1),
    megabytes(beforeBytes).toFixed(0),
    megabytes(peakBytes).toFixed(0),
  ];
}

function megabytes(bytes: number): number {
  return bytes / 1_000_000;
}

function yes(isTrue: boolean): string {
  return isTrue ? "yes" : "NO";
}
