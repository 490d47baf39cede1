import { z } from "zod";
import { type Cursor, decodeCursor, encodeCursor } from "../domain/cursor.ts";
import type { Page } from "../storage/pages.ts";
import type { Total } from "../storage/totals.ts";

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

/** The rows of a page; values above `most` mean `most`. */
export function pageSize(usual: number, most: number) {
  return positive
    .default(usual)
    .transform((count) => Math.min(count, most))
    .meta({
      type: "integer",
      minimum: 1,
      default: usual,
      description: `Rows per page; values above ${most} mean ${most}`,
    });
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
    .meta({ description: "The previous page's `next_cursor`. Every page then takes as long as the first" }),
};

type Paging = { page: number; per_page: number; cursor?: Cursor | undefined };

const Pagination = z.object({
  page: z.number(),
  per_page: z.number(),
  total: z.number(),
  total_pages: z.number(),
  total_estimated: z.literal(true).optional(),
  next_cursor: z.string().nullable(),
});

/** The schema of a list. */
export function listAnswer<Row extends z.ZodType>(row: Row) {
  return z.object({ success: z.literal(true), data: z.array(row), pagination: Pagination });
}

/** The page to read: what follows the cursor, or the page of this number. */
export function pageOf({ page, per_page, cursor }: Paging): Page {
  return { limit: per_page, offset: cursor ? 0 : (page - 1) * per_page, after: cursor };
}

/**
 * Answers a page of a list.
 * @param placeOf the place of a row in the order of the list.
 */
export async function pageAnswer<Row, Shown>(
  query: Paging,
  page: { rows: Promise<readonly Row[]>; total: Promise<Total> },
  present: (row: Row) => Shown,
  placeOf: (row: Row) => Cursor,
) {
  const [rows, { total, isEstimate }] = await Promise.all([page.rows, page.total]);
  const last = rows.at(-1);
  const isFull = rows.length === query.per_page;
  return {
    success: true as const,
    data: rows.map((row) => present(row)),
    pagination: {
      page: query.page,
      per_page: query.per_page,
      total,
      total_pages: Math.ceil(total / query.per_page),
      ...(isEstimate ? { total_estimated: true as const } : {}),
      next_cursor: last && isFull ? encodeCursor(placeOf(last)) : null,
    },
  };
}

/** The place of a row in a list with the newest first. */
export function placeOfNewest({ created_at_exact, id }: { created_at_exact: string; id: string }): Cursor {
  return { time: created_at_exact, id };
}
