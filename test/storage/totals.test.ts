import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { insertProject } from "../../src/storage/projects.ts";
import { countListed, type SuppressionFilter } from "../../src/storage/suppressions.ts";
import { rememberEstimates, type Total } from "../../src/storage/totals.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

const projectId = "00000000-0000-8000-8000-000000000aaa";
const otherProjectId = "00000000-0000-8000-8000-000000000bbb";

let database: TestDatabase;
let nowMs: number;
let count: (filter: SuppressionFilter) => Promise<Total>;

beforeAll(async () => {
  database = await testDatabase();
  for (const id of [projectId, otherProjectId]) await insertProject(database.db, id, id);
  // Estimates change when the test says so.
  await database.db.query("alter table suppressions set (autovacuum_enabled = false)");
});
afterAll(() => database?.drop());
beforeEach(async () => {
  await database.db.query("truncate suppressions");
  nowMs = Date.parse("2026-11-20T10:00:00Z");
  count = rememberEstimates(
    (filter) => countListed(database.db, filter),
    () => new Date(nowMs),
  );
});

/** Suppresses the addresses of these numbers, the last one included. */
async function suppress(from: number, to: number, project = projectId, reason = "bounce"): Promise<void> {
  await database.db.query(
    `insert into suppressions (project_id, address, reason, since)
     select $1::uuid, n || '@example.com', $4, now() from generate_series($2::integer, $3::integer) as n`,
    [project, from, to, reason],
  );
  await database.db.query("analyze suppressions");
}

test("up to 100,000 a total is exact, and what is added counts at once", async () => {
  await suppress(1, 99_999);
  expect(await count({ projectId })).toEqual({ total: 99_999, isEstimate: false });

  await suppress(100_000, 100_000);
  expect(await count({ projectId })).toEqual({ total: 100_000, isEstimate: false });
});

test("beyond 100,000 a total is an estimate and says so", async () => {
  await suppress(1, 150_000);

  const { total, isEstimate } = await count({ projectId });

  expect(isEstimate).toBe(true);
  expect(total).toBeGreaterThan(140_000);
  expect(total).toBeLessThan(160_000);
});

test("an estimate is never below what has been counted", async () => {
  await suppress(1, 100);
  // The planner knows of none with this reason.
  await database.db.query(
    `insert into suppressions (project_id, address, reason, since)
     select $1::uuid, 'new.' || n || '@example.com', 'manual', now() from generate_series(1, 100001) as n`,
    [projectId],
  );

  expect(await count({ projectId, reason: "manual" })).toEqual({ total: 100_001, isEstimate: true });
});

test("an estimate is remembered for a minute", async () => {
  await suppress(1, 150_000);
  const remembered = await count({ projectId });
  await database.db.query("truncate suppressions");

  nowMs += 59_999;
  expect(await count({ projectId })).toEqual(remembered);

  nowMs += 1;
  expect(await count({ projectId })).toEqual({ total: 0, isEstimate: false });
});

test("what is remembered is of one list alone", async () => {
  await suppress(1, 150_000);
  await suppress(1, 3, otherProjectId);
  await suppress(150_001, 150_002, projectId, "manual");
  expect((await count({ projectId })).isEstimate).toBe(true);

  expect(await count({ projectId, reason: "manual" })).toEqual({ total: 2, isEstimate: false });
  expect(await count({ projectId, address: "7@example.com" })).toEqual({ total: 1, isEstimate: false });
  expect(await count({ projectId: otherProjectId })).toEqual({ total: 3, isEstimate: false });
});
