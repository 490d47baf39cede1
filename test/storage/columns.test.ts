import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { assignments, columnList, rowSource } from "../../src/storage/columns.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database?.drop());

const columns = { id: "integer", name: "text", seen_at: "timestamptz", tags: "jsonb" } as const;

describe("rowSource", () => {
  test("names every column once, in order, with a typed array for each", () => {
    const source = rowSource({ id: "uuid", name: "text" }, [{ id: "1", name: "one" }]);

    expect(source).toEqual({
      sql: "unnest($1::uuid[], $2::text[]) as rows(id, name)",
      params: ['{"1"}', '{"one"}'],
    });
  });

  test("begins with the parameter that is free", () => {
    expect(rowSource({ id: "uuid", name: "text" }, [], 4).sql).toBe(
      "unnest($4::uuid[], $5::text[]) as rows(id, name)",
    );
  });

  test("leaves out fields that are no columns", () => {
    const row = { id: 1, other: "x" };
    expect(rowSource({ id: "integer" }, [row]).params).toEqual(["{1}"]);
  });

  test("brings rows through Postgres as they were: quotes, backslashes, commas, braces, nulls and JSON", async () => {
    const rows = [
      {
        id: 1,
        name: `"a", {b} \\ 'c'\n`,
        seen_at: new Date("2026-11-22T10:00:00.123Z"),
        tags: { a: ["b,c"] },
      },
      { id: 2, name: null, seen_at: null, tags: null },
      { id: 3, name: "", seen_at: new Date("0099-01-01T00:00:00Z"), tags: ["x", null, '"'] },
      { id: 4, name: "NULL", seen_at: null, tags: "NULL" },
      {
        id: 5,
        name: "\u001e\u001f,}",
        seen_at: new Date("+012345-06-07T08:09:10.011Z"),
        tags: { "\u001e": "\u001e" },
      },
      { id: 6, name: "null", seen_at: new Date("0000-03-15T00:00:00.5Z"), tags: "" },
      { id: 7, name: " ", seen_at: new Date("-000043-03-15T12:00:00Z"), tags: null },
    ];
    const source = rowSource(columns, rows);

    const read = await database.db.query(
      `select ${columnList(columns)} from ${source.sql} order by id`,
      source.params,
    );

    expect(read).toEqual(rows);
  });

  test("stores a missing JSON value as SQL null, not as JSON null", async () => {
    const source = rowSource({ tags: "jsonb" }, [{ tags: null }, { tags: undefined }]);

    const read = await database.db.query(`select tags is null as is_null from ${source.sql}`, source.params);

    expect(read).toEqual([{ is_null: true }, { is_null: true }]);
  });

  test("of no rows selects none", async () => {
    const source = rowSource(columns, []);
    expect(await database.db.query(`select * from ${source.sql}`, source.params)).toEqual([]);
  });
});

test("columnList puts the prefix before each name", () => {
  expect(columnList({ id: "uuid", name: "text" })).toBe("id, name");
  expect(columnList({ id: "uuid", name: "text" }, "t.")).toBe("t.id, t.name");
});

test("assignments take each column from the rows", () => {
  expect(assignments({ id: "uuid", name: "text" })).toBe("id = rows.id, name = rows.name");
});
