import { stringify } from "csv-stringify/sync";
import type { Cursor } from "../domain/cursor.ts";

/** Rows are read by as many: enough to make a round trip worth its while, and little to hold in memory. */
const rowsPerPage = 2_000;

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

/**
 * A list of any size as CSV, its heads first. A cell that a spreadsheet would take for a formula is preceded by an
 * apostrophe: what is in it comes from outside.
 */
export async function* csvOf<Row>(
  columns: readonly string[],
  read: (page: { limit: number; offset: number; after?: Cursor }) => Promise<Row[]>,
  placeOf: (row: Row) => Cursor,
  cellsOf: (row: Row) => Readonly<Record<string, unknown>>,
): AsyncIterable<string> {
  const options = { columns: [...columns], escape_formulas: true };
  yield stringify([], { ...options, header: true });
  for await (const rows of pagesOf(read, placeOf)) yield stringify(rows.map(cellsOf), options);
}
