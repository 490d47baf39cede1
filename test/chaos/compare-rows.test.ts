import { afterEach, beforeEach, expect, test } from "vitest";
import { createFindings } from "../../chaos/check/findings.ts";
import { compareRows } from "../../chaos/drills/compare-rows.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let original: TestDatabase;
let copy: TestDatabase;

beforeEach(async () => {
  original = await testDatabase();
  copy = await testDatabase();
});
afterEach(async () => {
  await original.drop();
  await copy.drop();
});

const suppress = ({ db }: TestDatabase, address: string, reason: string) =>
  db.query(
    "insert into suppressions (project_id, address, reason, since) values ($1, $2, $3, '2026-01-01')",
    [defaultProjectId, address, reason],
  );

test("a copy is the same but for the columns that are left out", async () => {
  await suppress(original, "jane@example.com", "bounce");
  await suppress(copy, "jane@example.com", "bounce");
  const findings = createFindings();

  const rows = { table: "suppressions", except: ["created_at"] };
  expect(await compareRows(original.db, copy.db, rows, findings)).toBe(1);
  expect(findings.isEmpty()).toBe(true);

  await compareRows(original.db, copy.db, { ...rows, except: [] }, findings);
  expect(findings.isEmpty()).toBe(false);
});

test("a row that is missing, one that differs and one too many are reported", async () => {
  await suppress(original, "missing@example.com", "bounce");
  await suppress(original, "other@example.com", "bounce");
  await suppress(copy, "other@example.com", "manual");
  await suppress(copy, "more@example.com", "bounce");
  const findings = createFindings();

  await compareRows(original.db, copy.db, { table: "suppressions", except: ["created_at"] }, findings);

  expect([findings.count("lost"), findings.count("differs")]).toEqual([2, 2]);
});
