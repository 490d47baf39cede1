import type { Database } from "./database.ts";
import { isOutOfTime } from "./database-errors.ts";

/** Counting everything costs more than a page; up to this number the count is exact. */
const exactUpTo = 100_000;

export type Total = { total: number; isEstimate: boolean };

/**
 * Counts rows: exact up to 100,000, beyond that the planner's estimate.
 * @param rows `from … where …`
 */
export async function countRows(db: Database, rows: string, params: readonly unknown[]): Promise<Total> {
  const [counted] = await db.query<{ count: number }>(
    `select count(*)::integer as count from (select 1 ${rows} limit ${exactUpTo + 1}) as listed`,
    params,
  );
  const count = counted?.count ?? 0;
  if (count <= exactUpTo) return { total: count, isEstimate: false };
  return { total: Math.max(count, await estimateRows(db, rows, params)), isEstimate: true };
}

/** As `countRows`, for a few rows among very many: after some seconds it falls back to the planner's estimate. */
export async function countRowsInTime(
  db: Database,
  rows: string,
  params: readonly unknown[],
): Promise<Total> {
  try {
    return await db.transaction(async (tx) => {
      await tx.query("set local statement_timeout = '5s'");
      return countRows(tx, rows, params);
    });
  } catch (error) {
    if (!isOutOfTime(error)) throw error;
    return { total: await estimateRows(db, rows, params), isEstimate: true };
  }
}

async function estimateRows(db: Database, rows: string, params: readonly unknown[]): Promise<number> {
  const [plan] = await db.query<{ "QUERY PLAN": [{ Plan: { "Plan Rows": number } }] }>(
    `explain (format json) select 1 ${rows}`,
    params,
  );
  return plan?.["QUERY PLAN"][0].Plan["Plan Rows"] ?? 0;
}

/** Maximum age of an estimate. */
const estimateForMs = 60_000;
const maxRemembered = 1_000;

/**
 * Makes `count` remember estimates of lists beyond 100,000 rows, because finding out costs more than a page. Exact
 * counts are always made again.
 */
export function rememberEstimates<Filter extends { projectId: string }>(
  count: (filter: Filter) => Promise<Total>,
  now: () => Date,
): (filter: Filter) => Promise<Total> {
  const estimates = new Map<string, { total: Total; untilMs: number }>();
  return async (filter) => {
    const name = JSON.stringify(filter);
    const known = estimates.get(name);
    if (known && now().getTime() < known.untilMs) return known.total;
    const total = await count(filter);
    if (!total.isEstimate) return total;
    if (estimates.size >= maxRemembered) estimates.clear();
    estimates.set(name, { total, untilMs: now().getTime() + estimateForMs });
    return total;
  };
}
