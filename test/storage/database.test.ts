import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openRelay } from "../../chaos/stage/relay.ts";
import { errorText } from "../../src/logger.ts";
import { awaitServer, type Database, type DatabasePool, openDatabase } from "../../src/storage/database.ts";
import { isDataError, isRetryable, isUnavailable, sqlState } from "../../src/storage/database-errors.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { until } from "../support/wait.ts";

let database: TestDatabase;
let db: DatabasePool;

beforeAll(async () => {
  database = await testDatabase();
  db = database.db;
  await db.query("create table notes (text text primary key)");
});
afterAll(() => database?.drop());
beforeEach(() => db.query("delete from notes"));

const write = (to: Database, text: string) => to.query("insert into notes (text) values ($1)", [text]);

async function notes(): Promise<string[]> {
  const rows = await db.query<{ text: string }>("select text from notes order by text");
  return rows.map(({ text }) => text);
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => error,
  );
}

describe("a transaction", () => {
  test("is committed when its work resolves, with the work's result", async () => {
    const result = await db.transaction(async (tx) => {
      await write(tx, "a");
      return "done";
    });

    expect([result, await notes()]).toEqual(["done", ["a"]]);
  });

  test("is not seen by others before it is committed", async () => {
    await db.transaction(async (tx) => {
      await write(tx, "a");
      expect(await notes()).toEqual([]);
    });
    expect(await notes()).toEqual(["a"]);
  });

  test("is rolled back when its work rejects, and the work's own error is told", async () => {
    const boom = new Error("boom");

    const failure = await failureOf(
      db.transaction(async (tx) => {
        await write(tx, "a");
        throw boom;
      }),
    );

    expect(failure).toBe(boom);
    expect(await notes()).toEqual([]);
  });

  test("rejects when a failed statement within it was swallowed, because nothing is committed then", async () => {
    const failure = await failureOf(
      db.transaction(async (tx) => {
        await write(tx, "a");
        await write(tx, "a").catch(() => {});
      }),
    );

    expect(String(failure)).toMatch(/rolled back/);
    expect(await notes()).toEqual([]);
  });

  test("works in UTC", async () => {
    const rows = await db.transaction((tx) => tx.query("select current_setting('timezone') as zone"));
    expect(rows).toEqual([{ zone: "UTC" }]);
  });
});

describe("a transaction within a transaction", () => {
  test("undoes its own work alone when it rejects", async () => {
    await db.transaction(async (tx) => {
      await write(tx, "before");
      await failureOf(
        tx.transaction(async (step) => {
          await write(step, "within");
          await write(step, "within");
        }),
      );
      await write(tx, "after");
    });

    expect(await notes()).toEqual(["after", "before"]);
  });

  test("is undone with the outer one, although it resolved", async () => {
    await failureOf(
      db.transaction(async (tx) => {
        await tx.transaction((step) => write(step, "within"));
        throw new Error("boom");
      }),
    );

    expect(await notes()).toEqual([]);
  });

  test("undoes all of its work, also what came before a step of its own that failed", async () => {
    await db.transaction(async (tx) => {
      await write(tx, "kept");
      await failureOf(
        tx.transaction(async (step) => {
          await write(step, "undone");
          await failureOf(step.transaction((inner) => write(inner, "kept")));
          throw new Error("boom");
        }),
      );
    });

    expect(await notes()).toEqual(["kept"]);
  });

  test("can fail many times in a row", async () => {
    await db.transaction(async (tx) => {
      for (const text of ["a", "a", "b", "a", "c"]) {
        await tx.transaction((step) => write(step, text)).catch(() => {});
      }
    });

    expect(await notes()).toEqual(["a", "b", "c"]);
  });
});

describe("a connection that is lost", () => {
  const terminateSelf = (on: Database) => on.query("select pg_terminate_backend(pg_backend_pid())");

  async function terminateIdle(on: Database): Promise<void> {
    const [row] = await on.query<{ pid: number }>("select pg_backend_pid() as pid");
    await db.query("select pg_terminate_backend($1, 5000)", [row?.pid]);
  }

  type Lose = (tx: Database) => Promise<unknown>;
  const serverError = /terminating connection/;
  const cases: [string, RegExp, Lose][] = [
    ["during a statement", serverError, terminateSelf],
    ["during a statement of a step", serverError, (tx) => tx.transaction(terminateSelf)],
    ["between two statements", /connection/i, (tx) => terminateIdle(tx).then(() => write(tx, "b"))],
    ["before the commit", /connection/i, terminateIdle],
  ];

  test.each(cases)(
    "%s: the transaction rejects with %s, and a pool of one goes on",
    async (_when, told, lose) => {
      const pool = openDatabase(database.url, { maxConnections: 1, onIdleError: () => {} });

      const failure = await failureOf(
        pool.transaction(async (tx) => {
          await write(tx, "a");
          await lose(tx);
        }),
      );

      expect(String(failure)).toMatch(told);
      await write(pool, "c");
      expect(await notes()).toEqual(["c"]);
      await pool.close();
    },
  );

  test("between transactions is told to onIdleError, and the pool goes on", async () => {
    const lost: Error[] = [];
    const pool = openDatabase(database.url, { maxConnections: 1, onIdleError: (error) => lost.push(error) });

    await terminateIdle(pool);

    await until("the pool tells of it", () => lost.length > 0);
    expect(sqlState(lost[0])).toBe("57P01");
    expect(await pool.query("select 1 as one")).toEqual([{ one: 1 }]);
    await pool.close();
  });
});

test("a database that is not there is an error, not a wait", async () => {
  const pool = openDatabase("postgres://nobody@127.0.0.1:1/nothing", {
    maxConnections: 1,
    onIdleError: () => {},
  });
  const failure = await failureOf(pool.query("select 1"));
  expect(errorText(failure)).toBe("Cannot connect to the database: connect ECONNREFUSED 127.0.0.1:1");
  expect(isUnavailable(failure)).toBe(true);
  await pool.close();
});

test("a start waits for a server that does not answer yet", async () => {
  const relay = await openRelay(Number(new URL(database.url).port));
  const url = Object.assign(new URL(database.url), { port: String(relay.port) });
  const pool = openDatabase(url.href, { maxConnections: 2, onIdleError: () => {} });
  relay.silence("both ways");

  const start = awaitServer(pool);
  const oneAttempt = await failureOf(awaitServer(pool, 1));
  relay.heal();

  expect(isUnavailable(oneAttempt)).toBe(true);
  await start;
  await pool.close();
  await relay.close();
});

describe("errors of the server", () => {
  const cases: [string, string, { isRetryable: boolean; isDataError: boolean }][] = [
    ["select 1 / 0", "22012", { isRetryable: false, isDataError: true }],
    ["insert into notes values (null)", "23502", { isRetryable: false, isDataError: true }],
    ["select * from missing", "42P01", { isRetryable: false, isDataError: false }],
    [
      "do $$ begin raise exception using errcode = '40P01'; end $$",
      "40P01",
      { isRetryable: true, isDataError: false },
    ],
    [
      "do $$ begin raise exception using errcode = '40001'; end $$",
      "40001",
      { isRetryable: true, isDataError: false },
    ],
  ];

  test.each(cases)("%s has SQLSTATE %s", async (sql, state, kind) => {
    const error = await failureOf(db.query(sql));
    expect(sqlState(error)).toBe(state);
    expect({ isRetryable: isRetryable(error), isDataError: isDataError(error) }).toEqual(kind);
  });

  const passing: [string, string][] = [
    ["the connection failed", "08006"],
    ["read-only after a failover", "25006"],
    ["the password was changed", "28P01"],
    ["the database is gone for a while", "3D000"],
    ["still in conflict", "40001"],
    ["the disk is full", "53100"],
    ["out of memory", "53200"],
    ["too many connections", "53300"],
    ["the database takes no connections", "55000"],
    ["shutting down", "57P01"],
    ["crashed", "57P02"],
    ["starting up", "57P03"],
    ["input or output failed", "58030"],
  ];
  test.each(passing)("%s: the database is unavailable (%s)", async (_what, state) => {
    const error = await failureOf(db.query(`do $$ begin raise exception using errcode = '${state}'; end $$`));
    expect([sqlState(error), isUnavailable(error)]).toEqual([state, true]);
  });

  test.each(["42501", "42P01", "22012", "23505", "57014", "XX000"])(
    "%s is about the statement, so that repeating it is of no use",
    async (state) => {
      const error = await failureOf(
        db.query(`do $$ begin raise exception using errcode = '${state}'; end $$`),
      );
      expect(isUnavailable(error)).toBe(false);
    },
  );

  test("other errors have no SQLSTATE", () => {
    const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    expect([sqlState(refused), sqlState(new Error("x")), sqlState("x"), sqlState(null)]).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });
});
