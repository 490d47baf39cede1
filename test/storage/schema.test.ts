import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { migrationsDirectory } from "../../src/package-info.ts";
import { partitionsOf } from "../../src/storage/partitions.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { dumpSchema } from "../support/dump-schema.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database?.drop());

const file = new URL("schema.sql", migrationsDirectory);
const heading =
  "-- The schema after all migrations. Made by `npm run schema`; the migrations are what is applied.\n\n";

test("migrations/schema.sql is what the migrations make", async () => {
  const schema = heading + (await dumpSchema(database.db));
  if (process.env["UPDATE_SCHEMA"]) await writeFile(file, schema);

  const committed = await readFile(file, "utf8").catch(() => "");

  expect(committed, "migrations/schema.sql is not what the migrations make: run `npm run schema`").toBe(
    schema,
  );
});

describe("the dump", () => {
  test("is the same when partitions have been made", async () => {
    const before = await dumpSchema(database.db);
    const times = [new Date("2026-11-22T10:00:00Z")];

    await partitionsOf(database.db).ensure("notifications", times);
    await partitionsOf(database.db).ensure("events", times);

    expect(await dumpSchema(database.db)).toBe(before);
  });

  test("tells of every change to a table, and is the same again without it", async () => {
    const { db } = database;
    const before = await dumpSchema(db);
    const changes = [
      "alter table activity add column extra text",
      "alter table activity alter column subject set not null",
      "alter table activity alter column subject set default ''",
      "alter table activity alter column open_count type bigint",
      "alter table activity drop constraint activity_current_status_check",
      "alter table activity reset (fillfactor)",
      "alter table webhook_secrets drop constraint webhook_secrets_project_id_endpoint_id_fkey",
      "drop index deliveries_due",
      "create index extra on deliveries (event_id)",
      "create table extra (id integer)",
      "create function extra() returns integer language sql as 'select 1'",
    ];
    for (const change of changes) {
      const rolledBack = db.transaction(async (tx) => {
        await tx.query(change);
        expect(await dumpSchema(tx), change).not.toBe(before);
        throw new Error("undo");
      });
      await expect(rolledBack).rejects.toThrow("undo");
    }
    expect(await dumpSchema(db)).toBe(before);
  });
});
