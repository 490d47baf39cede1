import { z } from "zod";
import { type Cursor, decodeCursor, encodeCursor } from "../domain/cursor.ts";

const defaultPerPage = 50;
const maxPerPage = 200;

const maxPage = 999_999_999;

const positive = z
  .string()
  .max(1_000, "has too many digits")
  .regex(/^[1-9]\d*$/, "must be a whole number of at least 1")
  .transform(Number);

export const pageNumber = positive
  .refine((page) => page <= maxPage, "is too large")
  .default(1)
  .meta({ type: "integer", minimum: 1, maximum: maxPage, default: 1 });

/** How many rows a page has; of more than `most` it has `most`. */
export function pageSize(usual: number, most: number) {
  return positive
    .default(usual)
    .transform((count) => Math.min(count, most))
    .meta({ type: "integer", minimum: 1, default: usual, description: `Rows of a page; at most ${most}` });
}

/** The query parameters of every list. */
export const pagingQuery = {
  page: pageNumber,
  per_page: pageSize(defaultPerPage, maxPerPage),
  cursor: z
    .string()
    .max(200, "is too long")
    .transform((text, issues): Cursor => {
      const cursor = decodeCursor(text);
      if (cursor) return cursor;
      issues.addIssue({ code: "custom", message: "is not a next_cursor of this list" });
      return z.NEVER;
    })
    .optional()
    .meta({ description: "`next_cursor` of the last page; walks any depth at the price of the first page" }),
};

export type Paging = { page: number; per_page: number; cursor?: Cursor | undefined };

export const Pagination = z.object({
  page: z.number(),
  per_page: z.number(),
  total: z.number(),
  total_pages: z.number(),
  total_estimated: z.literal(true).optional(),
  next_cursor: z.string().nullable(),
});

/** What a query for one page takes: with a cursor it starts there, without by number. */
export function pageOf({ page, per_page, cursor }: Paging) {
  return { limit: per_page, offset: cursor ? 0 : (page - 1) * per_page, after: cursor };
}

/**
 * The answer of a list.
 * @param placeOf where a row stands in the order of the list.
 */
export function pageAnswer<Row, Shown>(
  query: Paging,
  [rows, total]: readonly [readonly Row[], { total: number; isEstimate: boolean }],
  present: (row: Row) => Shown,
  placeOf: (row: Row) => Cursor,
) {
  const last = rows.at(-1);
  return {
    success: true as const,
    data: rows.map((row) => present(row)),
    pagination: pagination(query, total, rows.length, last ? placeOf(last) : null),
  };
}

/** The place of a row in a list of the newest first. */
export function placeOfNewest({ created_at_exact, id }: { created_at_exact: string; id: string }): Cursor {
  return { time: created_at_exact, id };
}

/** @param last the place of the page's last row; null when the page is empty. */
function pagination(
  { page, per_page }: Paging,
  { total, isEstimate }: { total: number; isEstimate: boolean },
  rows: number,
  last: Cursor | null,
): z.input<typeof Pagination> {
  return {
    page,
    per_page,
    total,
    total_pages: Math.ceil(total / per_page),
    ...(isEstimate ? { total_estimated: true } : {}),
    next_cursor: last && rows === per_page ? encodeCursor(last) : null,
  };
}
