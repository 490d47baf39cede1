import { stringify } from "csv-stringify/sync";
import { z } from "zod";
import type { Cursor } from "../domain/cursor.ts";

/** Rows are read by as many: enough to make a round trip worth its while, and few enough that others hardly wait. */
const rowsPerPage = 200;

/** Reads a list page by page, each from the cursor of the last; no transaction is open in between. */
async function* pagesOf<Row>(
  read: (page: { limit: number; offset: number; after?: Cursor }) => Promise<Row[]>,
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
    .meta({ description: "`1`: begins with a byte order mark, by which Excel knows UTF-8" }),
};

/**
 * A list of any size as CSV, its heads first; what is not one value is JSON. A cell that a spreadsheet would take for a
 * formula is preceded by an apostrophe: what is in it comes from outside.
 */
export async function* csvOf<Row>(
  columns: readonly string[],
  read: (page: { limit: number; offset: number; after?: Cursor }) => Promise<Row[]>,
  placeOf: (row: Row) => Cursor,
  cellsOf: (row: Row) => Readonly<Record<string, unknown>>,
  { bom }: { bom: "0" | "1" },
): AsyncIterable<string> {
  yield (bom === "1" ? "\ufeff" : "") + stringify([columns]);
  for await (const rows of pagesOf(read, placeOf)) {
    const records = rows.map((row) => {
      const cells = cellsOf(row);
      return columns.map((name) => textOf(cells[name]));
    });
    yield stringify(records);
  }
}

/** Spreadsheets leave out blanks and what cannot be seen before they look for a sign, also for a full-width one. */
const formula = /^(?:[\s\p{Z}\p{C}\p{M}]*[=+\-@＝＋－＠\u2212]|[\t\r\n])/u;

function textOf(cell: unknown): string {
  if (cell === null || cell === undefined) return "";
  const text = typeof cell === "object" ? JSON.stringify(cell) : String(cell);
  return formula.test(text) ? `'${text}` : text;
}
