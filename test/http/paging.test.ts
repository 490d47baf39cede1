import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import type { TestDatabase } from "../support/database.ts";
import { newProject, projectTest, type TestProject } from "../support/project-test.ts";
import { ask, list, messageIds, seed } from "./api.ts";

const test = projectTest({ roles: { receiver: true, workers: false } }).extend(
  "large",
  { scope: "file" },
  async ({ service, database }) => {
    const project = await newProject(service);
    await fill(database, project, 201, 3);
    return project;
  },
);

/** Writes `count` emails: m1 the newest; those of a group were stored together. */
async function fill({ db }: TestDatabase, project: TestProject, count: number, groupSize = 1): Promise<void> {
  const newestMs = Date.parse("2026-11-20T12:00:00.000Z");
  const rows = Array.from({ length: count }, (_, index) => ({
    // Of a group, the higher id comes first.
    id: `00000000-0000-4000-8000-${String(999_999_999_999 - index).padStart(12, "0")}`,
    messageId: `m${index + 1}`,
    createdAt: new Date(newestMs - Math.floor(index / groupSize) * 1000).toISOString(),
  }));
  await seed(db, project.id, rows.toReversed());
}

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `m${from + index}`);

describe("order", () => {
  test("is by created_at, the newest first, then by id", async ({ project, database }) => {
    await fill(database, project, 10, 4);
    expect(await messageIds(project, "")).toEqual(numbered(1, 10));
  });

  test("distinguishes times that differ by a microsecond", async ({ project, database }) => {
    const at = (micros: number) => `2026-11-20T12:00:00.00000${micros}Z`;
    const order = [3, 1, 2];
    await seed(
      database.db,
      project.id,
      order.map((n) => ({ messageId: `m${n}`, createdAt: at(n) })),
    );

    expect(await messageIds(project, "")).toEqual(["m3", "m2", "m1"]);
    const first = await list(project, "per_page=1");
    const second = await list(project, `per_page=2&cursor=${first.pagination.next_cursor}`);
    expect(second.data.map(({ message_id }) => message_id)).toEqual(["m2", "m1"]);
  });
});

describe("page and per_page", () => {
  test("a page holds 50 where nothing is said", async ({ large }) => {
    const { data, pagination } = await list(large, "");
    expect(data.map(({ message_id }) => message_id)).toEqual(numbered(1, 50));
    expect(pagination).toEqual({
      page: 1,
      per_page: 50,
      total: 201,
      total_pages: 5,
      next_cursor: expect.any(String),
    });
  });

  test("pages by number, the last one shorter and without a cursor", async ({ large }) => {
    const second = await list(large, "page=2&per_page=80");
    expect(second.data.map(({ message_id }) => message_id)).toEqual(numbered(81, 160));
    const third = await list(large, "page=3&per_page=80");
    expect(third.data.map(({ message_id }) => message_id)).toEqual(numbered(161, 201));
    expect(third.pagination).toEqual({
      page: 3,
      per_page: 80,
      total: 201,
      total_pages: 3,
      next_cursor: null,
    });
  });

  test("beyond the last page there is nothing", async ({ large }) => {
    const { data, pagination } = await list(large, "page=999999999&per_page=200");
    expect(data).toEqual([]);
    expect(pagination).toMatchObject({ page: 999_999_999, total: 201, total_pages: 2, next_cursor: null });
  });

  test.for([
    ["200", "200"],
    ["201", "201"],
    ["a number of 20 digits", "9".repeat(20)],
    ["a number of 400 digits", "9".repeat(400)],
  ])("per_page of %s gives 200, the most there is", async ([_what, perPage], { large }) => {
    const { data, pagination } = await list(large, `per_page=${perPage}`);
    expect([data.length, pagination.per_page, pagination.total_pages]).toEqual([200, 200, 2]);
  });

  test("per_page=1 gives one", async ({ large }) => {
    const { data, pagination } = await list(large, "per_page=1");
    expect([data.length, pagination.per_page, pagination.total_pages]).toEqual([1, 1, 201]);
  });

  test.for(["0", "-1", "abc", "1.5", "", "1e2", "0x10", "%2B5", "%205", "05", "NaN", "Infinity"])(
    "page and per_page take no %s",
    async (text, { large }) => {
      const error = "must be a whole number of at least 1";
      expect(await ask(large, `/v1/activity?per_page=${text}`)).toEqual([
        400,
        { error: `per_page ${error}` },
      ]);
      expect(await ask(large, `/v1/activity?page=${text}`)).toEqual([400, { error: `page ${error}` }]);
    },
  );

  test.for([10, 20, 400])("page of %i digits is refused as too large", async (digits, { large }) => {
    const page = "9".repeat(digits);
    expect(await ask(large, `/v1/activity?page=${page}`)).toEqual([400, { error: "page is too large" }]);
  });

  test("an empty list has no pages", async ({ large }) => {
    const { pagination } = await list(large, "status=complained");
    expect(pagination).toEqual({ page: 1, per_page: 50, total: 0, total_pages: 0, next_cursor: null });
  });
});

describe("a cursor", () => {
  async function walk(project: TestProject, query: string, onPage = async () => {}): Promise<string[]> {
    const walked: string[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const page = await list(project, `${query}${cursor && `&cursor=${cursor}`}`);
      walked.push(...page.data.map(({ message_id }) => message_id));
      cursor = page.pagination.next_cursor;
      await onPage();
    }
    return walked;
  }

  test.for([1, 2, 3, 7, 20, 21])(
    "walks everything once, in order, %i a page",
    async (perPage, { project, database }) => {
      // Groups that share their created_at are larger than some pages.
      await fill(database, project, 20, 5);
      expect(await walk(project, `per_page=${perPage}`)).toEqual(numbered(1, 20));
    },
  );

  test("walks what was there once, while newer rows arrive", async ({ project, database }) => {
    await fill(database, project, 20, 5);
    const newer = () =>
      seed(database.db, project.id, [
        { messageId: `new ${randomUUID()}`, createdAt: "2026-11-20T13:00:00Z" },
      ]);

    expect(await walk(project, "per_page=3", newer)).toEqual(numbered(1, 20));
  });

  test("walks within a filter, and says the total of all", async ({ project, database }) => {
    await fill(database, project, 10);
    await seed(
      database.db,
      project.id,
      numbered(1, 5).map((name) => ({
        messageId: `complained ${name}`,
        createdAt: "2026-11-20T12:00:00Z",
        status: "complained",
      })),
    );

    const walked = await walk(project, "status=complained&per_page=2");
    expect(walked.sort()).toEqual(numbered(1, 5).map((name) => `complained ${name}`));

    const first = await list(project, "per_page=4");
    const second = await list(project, `per_page=4&cursor=${first.pagination.next_cursor}`);
    expect(second.pagination).toMatchObject({ total: 15, total_pages: 4 });
  });

  test("goes before a page number", async ({ project, database }) => {
    await fill(database, project, 6);
    const { pagination } = await list(project, "per_page=2");
    const { data } = await list(project, `per_page=2&page=3&cursor=${pagination.next_cursor}`);
    expect(data.map(({ message_id }) => message_id)).toEqual(["m3", "m4"]);
  });

  const text = (time: string, id: string = randomUUID()) =>
    Buffer.from(`${time}/${id}`).toString("base64url");
  const time = "2026-11-20T12:00:00.000000Z";
  test.for([
    ["no text", ""],
    ["garbage", "garbage"],
    ["what is no base64", "%2F%2F%2F"],
    ["a place without an id", text(time, "")],
    ["an id that is no UUID", text(time, "1")],
    ["a place with more behind it", text(time, `${randomUUID()}/x`)],
    ["a time without microseconds", text("2026-11-20T12:00:00.000Z")],
    ["a time that does not exist", text("2026-13-01T00:00:00.000000Z")],
    ["a day that does not exist", text("2026-02-31T00:00:00.000000Z")],
    ["a year that Postgres does not have", text("0000-01-01T00:00:00.000000Z")],
    ["an id with a NUL byte", text(time, `${randomUUID()}\u0000`)],
  ])("that is %s is refused", async ([_what, cursor], { project }) => {
    expect(await ask(project, `/v1/activity?cursor=${cursor}`)).toEqual([
      400,
      { error: "cursor is not a next_cursor of this list" },
    ]);
  });

  test("that is very long is refused", async ({ project }) => {
    expect(await ask(project, `/v1/activity?cursor=${"a".repeat(5_000)}`)).toEqual([
      400,
      { error: "cursor is too long" },
    ]);
  });

  test("of another project shows nothing of that project", async ({ project, otherProject, database }) => {
    await fill(database, project, 4);
    await fill(database, otherProject, 2);
    const { pagination } = await list(project, "per_page=1");
    const { data } = await list(otherProject, `cursor=${pagination.next_cursor}`);
    expect(data.map(({ message_id }) => message_id)).toEqual(["m2"]);
  });
});

test("total is exact up to 100,000, and beyond that an estimate that says so", async ({
  project,
  database,
}) => {
  const insert = (from: number, to: number) =>
    database.db.query(
      `insert into activity (project_id, id, message_id, recipient, recipient_as_sent, is_test, current_status,
         open_count, click_count, recipient_certain)
       select $1, gen_random_uuid(), 'many ' || n, 'jane@example.com', 'jane@example.com', false, 'sent', 0, 0, true
       from generate_series($2::integer, $3::integer) as n`,
      [project.id, from, to],
    );
  await insert(1, 100_000);
  const exact = await list(project, "per_page=200");
  expect(exact.pagination).toMatchObject({ total: 100_000, total_pages: 500 });
  expect(exact.pagination).not.toHaveProperty("total_estimated");

  await insert(100_001, 100_001);
  await database.db.query("analyze activity");
  const { total, total_pages, total_estimated } = (await list(project, "per_page=200")).pagination;

  expect(total_estimated).toBe(true);
  expect(total).toBeGreaterThanOrEqual(100_001);
  expect(total).toBeLessThan(120_000);
  expect(total_pages).toBe(Math.ceil(total / 200));
  const filtered = await list(project, "status=complained");
  expect(filtered.pagination).toEqual({ page: 1, per_page: 50, total: 0, total_pages: 0, next_cursor: null });
});
