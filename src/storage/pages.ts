import type { Cursor } from "../domain/cursor.ts";
import type { Conditions } from "./conditions.ts";

/** A page of a list: by number, or the rows after a cursor. */
export type Page = { limit: number; offset: number; after?: Cursor | undefined };

/** As SQL: a time as text in UTC with microseconds, which a Date would lose. Cursors hold such texts. */
export function exactTimeSql(time: string): string {
  return `to_char(${time}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}

/**
 * Adds the condition for rows after a cursor; none without a cursor.
 * @param columns time and id, by which the list is sorted: `created_at, id`.
 * @param direction `<` for newest first.
 */
export function addCursor(
  { add }: Pick<Conditions, "add">,
  columns: string,
  cursor: Cursor | null | undefined,
  direction: "<" | "<=" | ">" = "<",
): void {
  add(`(${columns}) ${direction} (?::timestamptz, ?::uuid)`, cursor?.time, cursor?.id);
}

/**
 * Adds the conditions of a period, both ends inclusive. Responses show milliseconds, so `until` includes all of its
 * millisecond.
 */
export function addPeriod(
  { add }: Pick<Conditions, "add">,
  column: string,
  { since, until }: { since?: Date | undefined; until?: Date | undefined },
): void {
  add(`${column} >= ?`, since);
  add(`${column} < ?::timestamptz + interval '1 millisecond'`, until);
}

/** As SQL: the `limit` and `offset` of a page. */
export function pageLimit({ limit, offset }: Pick<Page, "limit" | "offset">): string {
  return `limit ${Math.trunc(limit)} offset ${Math.trunc(offset)}`;
}
