import { table } from "../src/cli/command.ts";
import { listActivity } from "../src/http/routes/activity.sql.ts";
import type { Database } from "../src/storage/database.ts";
import type { ApiClient } from "./api-client.ts";
import type { Mailing } from "./emails.ts";
import { timed } from "./measure.ts";
import { peakWhile, residentBytes } from "./memory.ts";
import type { Print } from "./read-answers.ts";
import type { Goal } from "./sides/report.ts";

/** The allowed ratio of the memory for all rows to that for a tenth of them. */
const mostTimesTheMemory = 1.25;

/** Prints the cost of CSV for a tenth and for all rows. @returns the criteria: it is complete, with no more memory. */
export async function compareCsv(
  api: ApiClient,
  pid: number,
  db: Database,
  { projectId, emails }: Mailing,
  print: Print,
): Promise<Goal[]> {
  const tenthOfRows = { limit: 1, offset: Math.floor(emails / 10) - 1 };
  const [oldest] = await listActivity(db, { projectId }, tenthOfRows);
  const tenth = await streamed(api, pid, `/v1/activity.csv?since=${oldest?.created_at.toISOString()}`);
  const all = await streamed(api, pid, "/v1/activity.csv");
  const heads = ["CSV", "rows", "MB", "seconds", "MB/s", "RSS before, MB", "RSS peak, MB"];
  const rows = [heads, ["the newest tenth", ...figures(tenth)], ["all", ...figures(all)]];
  for (const line of table(rows)) print(line);
  print();
  const times = all.peakBytes / tenth.peakBytes;
  return [
    { name: "CSV: times the memory for ten times the rows", value: times, atMost: mostTimesTheMemory },
    { name: "CSV: rows for each email", value: all.rows / emails, atLeast: 1, atMost: 1 },
  ];
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
