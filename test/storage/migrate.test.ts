import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { migrationsDirectory } from "../../src/package-info.ts";
import { migrate } from "../../src/storage/migrate.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let database: TestDatabase;
let directory: string;

beforeEach(async () => {
  database = await testDatabase();
  await database.db.query("drop schema public cascade");
  await database.db.query("create schema public");
  directory = await mkdtemp(join(tmpdir(), "fanmail-migrations-"));
});
afterEach(async () => {
  await database?.drop();
  await rm(directory, { recursive: true, force: true });
});

const run = () => migrate(database.db, pathToFileURL(`${directory}/`));
const put = (name: string, sql: string) => writeFile(join(directory, name), sql);

async function tables(): Promise<string[]> {
  const rows = await database.db.query<{ name: string }>(
    "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by 1",
  );
  return rows.map(({ name }) => name);
}

test("the migrations of the product apply to an empty database, each once", async () => {
  const applied = await migrate(database.db, migrationsDirectory);

  expect(applied.slice(0, 4)).toEqual([
    "0001_projects_keys_and_topics.sql",
    "0002_journal.sql",
    "0003_activity_and_events.sql",
    "0004_webhooks.sql",
  ]);
  expect(await tables()).toEqual(expect.arrayContaining(["activity", "deliveries", "events", "migrations"]));
  expect(await migrate(database.db, migrationsDirectory)).toEqual([]);
});

test("processes that start together apply each migration once", async () => {
  await put("0001_slow.sql", "select pg_sleep(0.1); create table first (id integer);");
  await put("0002_next.sql", "create table second (id integer);");

  const applied = await Promise.all([run(), run(), run()]);

  expect(applied.filter((names) => names.length > 0)).toEqual([["0001_slow.sql", "0002_next.sql"]]);
  expect(await tables()).toEqual(["first", "migrations", "second"]);
});

test("files are applied in order of their names, and only those that are named as migrations", async () => {
  await put("0010_last.sql", "insert into log values ('0010');");
  await put("0001_log.sql", "create table log (name text);");
  await put("0002_next.sql", "insert into log values ('0002');");
  await put("README.md", "not sql");
  await put("0003_draft.sql.bak", "not sql");

  expect(await run()).toEqual(["0001_log.sql", "0002_next.sql", "0010_last.sql"]);
  expect(await database.db.query("select name from log")).toEqual([{ name: "0002" }, { name: "0010" }]);
});

test("a migration that is added later is applied alone", async () => {
  await put("0001_first.sql", "create table first (id integer);");
  await run();
  await put("0002_second.sql", "create table second (id integer);");

  expect(await run()).toEqual(["0002_second.sql"]);
  expect(await tables()).toEqual(["first", "migrations", "second"]);
});

describe("a migration that fails", () => {
  test("changes nothing, not even by those before it, and is named with its cause", async () => {
    await put("0001_good.sql", "create table good (id integer);");
    await put("0002_bad.sql", "create table half (id integer); select * from missing;");

    await expect(run()).rejects.toMatchObject({
      message: "Migration 0002_bad.sql failed; nothing was changed",
      cause: { code: "42P01" },
    });
    expect(await tables()).toEqual([]);
  });

  test("can be corrected and applied", async () => {
    await put("0001_bad.sql", "select * from missing;");
    await expect(run()).rejects.toThrow("0001_bad.sql");
    await put("0001_bad.sql", "create table good (id integer);");

    expect(await run()).toEqual(["0001_bad.sql"]);
    expect(await tables()).toEqual(["good", "migrations"]);
  });
});

test("a database that a newer version has migrated is refused, by the names it has too many, and left alone", async () => {
  await put("0001_first.sql", "create table first (id integer);");
  await put("0002_newer.sql", "create table newer (id integer);");
  await run();
  await rm(join(directory, "0002_newer.sql"));
  await put("0003_mine.sql", "create table mine (id integer);");

  await expect(run()).rejects.toThrow(
    "The database has been migrated by a newer version of fanmail (0002_newer.sql): run that version, or restore a backup",
  );
  expect(await tables()).toEqual(["first", "migrations", "newer"]);
});
