import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isPartitionMissing } from "../../src/storage/database-errors.ts";
import { storeBatch } from "../../src/storage/journal.ts";
import { type PartitionedTable, partitionsOf } from "../../src/storage/partitions.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let database: TestDatabase;

beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database?.drop());

const date = (text: string) => new Date(text);

async function partitions(table: PartitionedTable): Promise<[string, string][]> {
  const rows = await database.db.query<{ name: string; bound: string }>(
    `select relname as name, pg_get_expr(relpartbound, pg_class.oid) as bound
     from pg_inherits join pg_class on pg_class.oid = inhrelid
     where inhparent = $1::regclass order by relname`,
    [table],
  );
  return rows.map(({ name, bound }) => [name, bound]);
}

const days = (from: string, to: string) => `FOR VALUES FROM ('${from} 00:00:00+00') TO ('${to} 00:00:00+00')`;

const notificationOf = (time: string) => ({
  project_id: defaultProjectId,
  topic_id: randomUUID(),
  sns_message_id: randomUUID(),
  sns_timestamp: date(time),
  body: "{}",
});

describe("a partition is made on demand", () => {
  test("for each day of the journal, from midnight to midnight in UTC", async () => {
    await partitionsOf(database.db).ensure("notifications", [
      date("2026-11-22T00:00:00.000Z"),
      date("2026-11-22T23:59:59.999Z"),
      date("2026-11-23T00:00:00.000Z"),
    ]);

    expect(await partitions("notifications")).toEqual([
      ["notifications_2026_11_22", days("2026-11-22", "2026-11-23")],
      ["notifications_2026_11_23", days("2026-11-23", "2026-11-24")],
    ]);
  });

  test("for each month of the events", async () => {
    await partitionsOf(database.db).ensure("events", [
      date("2028-02-01T00:00:00.000Z"),
      date("2028-02-29T23:59:59.999Z"),
      date("2028-03-01T00:00:00.000Z"),
    ]);

    expect(await partitions("events")).toEqual([
      ["events_2028_02", days("2028-02-01", "2028-03-01")],
      ["events_2028_03", days("2028-03-01", "2028-04-01")],
    ]);
  });

  test.each<[PartitionedTable, [string, string][]]>([
    [
      "notifications",
      [
        ["notifications_2026_12_31", days("2026-12-31", "2027-01-01")],
        ["notifications_2027_01_01", days("2027-01-01", "2027-01-02")],
      ],
    ],
    [
      "events",
      [
        ["events_2026_12", days("2026-12-01", "2027-01-01")],
        ["events_2027_01", days("2027-01-01", "2027-02-01")],
      ],
    ],
  ])("across the end of a year, for %s", async (table, expected) => {
    await partitionsOf(database.db).ensure(table, [
      date("2026-12-31T23:59:59.999Z"),
      date("2027-01-01T00:00:00.000Z"),
    ]);

    expect(await partitions(table)).toEqual(expected);
  });

  test("with the indexes and keys of its table", async () => {
    await partitionsOf(database.db).ensure("notifications", [date("2026-11-22T10:00:00Z")]);

    const indexes = await database.db.query<{ parent: string }>(
      `select inhparent::regclass::text as parent from pg_inherits
       join pg_index on indexrelid = inhrelid
       where indrelid = 'notifications_2026_11_22'::regclass order by 1`,
    );
    expect(indexes.map(({ parent }) => parent)).toEqual(["notifications_batch", "notifications_pkey"]);
  });

  test("by several processes at once, once", async () => {
    const times = ["2026-10-31T12:00:00Z", "2026-11-01T12:00:00Z", "2026-11-02T12:00:00Z"].map(date);

    await Promise.all(
      [1, 2, 3, 4].flatMap(() => {
        const own = partitionsOf(database.db);
        return [own.ensure("notifications", times), own.ensure("events", times.toReversed())];
      }),
    );

    expect((await partitions("notifications")).map(([name]) => name)).toEqual([
      "notifications_2026_10_31",
      "notifications_2026_11_01",
      "notifications_2026_11_02",
    ]);
    expect((await partitions("events")).map(([name]) => name)).toEqual(["events_2026_10", "events_2026_11"]);
  });

  test("also while a transaction is writing to another partition", async () => {
    const own = partitionsOf(database.db);
    await storeBatch(database.db, own, randomUUID(), [notificationOf("2026-11-22T10:00:00Z")]);

    await database.db.transaction(async (tx) => {
      await tx.query("update notifications set body = '[]'");
      await own.ensure("notifications", [date("2026-11-23T10:00:00Z")]);
    });

    expect(await partitions("notifications")).toHaveLength(2);
  });
});

test("what is known is not asked for again, until it is forgotten", async () => {
  const own = partitionsOf(database.db);
  const day = date("2026-11-22T10:00:00Z");
  await own.ensure("notifications", [day]);
  await database.db.query("drop table notifications_2026_11_22");

  await own.ensure("notifications", [day]);
  expect(await partitions("notifications")).toEqual([]);

  own.forget();
  await own.ensure("notifications", [day]);
  expect(await partitions("notifications")).toHaveLength(1);
});

test("a row without a partition is told from other refusals", async () => {
  const missing = await database.db
    .query(
      "insert into notifications select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), gen_random_uuid(), ''",
    )
    .catch((error: unknown) => error);
  const check = await database.db
    .query("insert into projects (id, name, open_window_seconds) values (gen_random_uuid(), 'x', -1)")
    .catch((error: unknown) => error);

  expect([isPartitionMissing(missing), isPartitionMissing(check), isPartitionMissing("x")]).toEqual([
    true,
    false,
    false,
  ]);
});

test("storeBatch makes a partition again that retention of another process has dropped", async () => {
  const own = partitionsOf(database.db);
  await storeBatch(database.db, own, randomUUID(), [notificationOf("2026-11-22T10:00:00Z")]);
  await database.db.query("drop table notifications_2026_11_22");

  const isNew = await storeBatch(database.db, own, randomUUID(), [
    notificationOf("2026-11-22T11:00:00Z"),
    notificationOf("2026-11-23T11:00:00Z"),
  ]);

  expect(isNew).toEqual([true, true]);
  expect(await database.db.query("select 1 from notifications")).toHaveLength(2);
});
