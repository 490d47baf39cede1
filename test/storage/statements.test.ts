import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { isRetryable } from "../../src/storage/database-errors.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
  await database.db.query("create table notes (text text primary key)");
});
afterAll(() => database?.drop());
beforeEach(() => database.db.query("delete from notes"));

async function notes(): Promise<string[]> {
  const rows = await database.db.query<{ text: string }>("select text from notes order by text");
  return rows.map(({ text }) => text);
}

describe("a repeated statement", () => {
  const insert = "insert into notes (text) values ($1) returning text";
  const open = (preparesStatements = true) =>
    openDatabase(database.url, { maxConnections: 1, onIdleError: () => {}, preparesStatements });
  const preparedOn = async (one: Database) =>
    (await one.query<{ statement: string }>("select statement from pg_prepared_statements")).map(
      ({ statement }) => statement,
    );

  test("is prepared once for each connection, and others are not", async () => {
    const one = open();
    try {
      for (const text of ["a", "b"]) expect(await one.query(insert, [text], "repeated")).toEqual([{ text }]);
      await one.query("select $1::text", ["c"]);

      expect(await preparedOn(one)).toEqual([insert]);
    } finally {
      await one.close();
    }
  });

  test("is not prepared where that is turned off", async () => {
    const one = open(false);
    try {
      await one.query(insert, ["a"], "repeated");
      expect(await preparedOn(one)).toEqual([]);
    } finally {
      await one.close();
    }
  });

  test("succeeds all the same when a pooler has lost it, and none is prepared after that", async () => {
    const one = open();
    try {
      await one.query(insert, ["a"], "repeated");
      await one.query("deallocate all");

      expect(await one.query(insert, ["b"], "repeated")).toEqual([{ text: "b" }]);
      await one.query(insert, ["c"], "repeated");
      expect(await preparedOn(one)).toEqual([]);
      expect(await notes()).toEqual(["a", "b", "c"]);
    } finally {
      await one.close();
    }
  });

  test("within a transaction fails so that the transaction is repeated", async () => {
    const one = open();
    try {
      await one.query(insert, ["a"], "repeated");
      await one.query("deallocate all");
      const write = () => one.transaction((tx) => tx.query(insert, ["b"], "repeated"));

      await expect(write()).rejects.toSatisfy(isRetryable);
      expect(await write()).toEqual([{ text: "b" }]);
    } finally {
      await one.close();
    }
  });
});

test("times are read as they were written: fractions, years of one to five digits, and before our era", async () => {
  const times = [
    "2026-11-27T01:02:03.004Z",
    "2026-11-27T01:02:03Z",
    "0009-01-01T00:00:00.5Z",
    "0999-12-31T23:59:59.999Z",
  ];
  const more = ["+012345-06-07T08:09:10.011Z", "-000043-03-15T12:00:00.000Z"];
  const written = [...times, ...more].map((text) => new Date(text));

  const read = await database.db.query<{ time: Date }>(
    "select time from unnest($1::timestamptz[]) with ordinality as rows(time, place) order by place",
    [written],
  );

  expect(read.map(({ time }) => time)).toEqual(written);
  const [micros] = await database.db.query(
    "select '2026-11-27 01:02:03.004567+00'::timestamptz as time, 'infinity'::timestamptz as end",
  );
  expect(micros).toEqual({ time: new Date("2026-11-27T01:02:03.004Z"), end: Number.POSITIVE_INFINITY });
});
