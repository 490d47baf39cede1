import { z } from "zod";
import type { Cursor } from "../domain/cursor.ts";
import type { Page } from "../storage/pages.ts";

/** Rows per query: enough to pay for a round trip, few enough not to block others. */
const rowsPerPage = 200;

/** Reads a list page by page, each after the cursor of the last; no transaction is open in between. */
async function* pagesOf<Row>(
  read: (page: Page) => Promise<Row[]>,
  placeOf: (row: Row) => Cursor,
): AsyncIterable<Row[]> {
  let after: Cursor | undefined;
  for (;;) {
    const rows = await read({ limit: rowsPerPage, offset: 0, ...(after && { after }) });
    const last = rows.at(-1);
    if (last) yield rows;
    if (last === undefined || rows.length < rowsPerPage) return;
    after = placeOf(last);
  }
}

/** The query parameters of every CSV. */
export const csvQuery = {
  bom: z
    .enum(["0", "1"], "must be 0 or 1")
    .default("0")
    .meta({ description: "`1`: starts with a byte order mark, which Excel needs to recognize UTF-8" }),
};

/**
 * A list of any size as CSV with a header row; objects are written as JSON. A cell that a spreadsheet would run as a
 * formula gets an apostrophe in front: cells hold what senders and recipients wrote.
 */
export async function* csvOf<Row>(
  columns: readonly string[],
  read: (page: Page) => Promise<Row[]>,
  placeOf: (row: Row) => Cursor,
  cellsOf: (row: Row) => Readonly<Record<string, unknown>>,
  { bom }: { bom: "0" | "1" },
): AsyncIterable<string> {
  // Most processes never write a CSV.
  const { stringify } = await import("csv-stringify/sync");
  yield (bom === "1" ? "\ufeff" : "") + stringify([columns]);
  for await (const rows of pagesOf(read, placeOf)) {
    const records = rows.map((row) => {
      const cells = cellsOf(row);
      return columns.map((name) => textOf(cells[name]));
    });
    yield stringify(records);
  }
}

/** Spreadsheets skip spaces and invisible characters before a sign, and accept full-width signs. */
const formula = /^(?:[\s\p{Z}\p{C}\p{M}]*[=+\-@＝＋－＠\u2212]|[\t\r\n])/u;

function textOf(cell: unknown): string {
  if (cell === null || cell === undefined) return "";
  const text = typeof cell === "object" ? JSON.stringify(cell) : String(cell);
  return formula.test(text) ? `'${text}` : text;
}
