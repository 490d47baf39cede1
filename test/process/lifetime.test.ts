import { randomBytes } from "node:crypto";
import { describe, expect } from "vitest";
import { run } from "../support/command.ts";
import { testDatabase } from "../support/database.ts";
import { runProcess } from "../support/fanmail-process.ts";
import { until } from "../support/wait.ts";
import { test as processTest } from "./process-test.ts";

/*
 * The program while its database is not as it should be.
 */

const test = processTest
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern what a fixture depends on.
  .extend("database", { scope: "file" }, async ({}, { onCleanup }) => {
    const database = await testDatabase();
    onCleanup(() => database.drop());
    return database;
  })
  .extend("environment", ({ database }) => ({
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
  }));

test("no variable of PostgreSQL's clients is meant for the embedded one", async ({ dataDir }) => {
  const environment = {
    PGAPPNAME: "other",
    PGCLIENT_ENCODING: "LATIN1",
    PGDATABASE: "other",
    PGHOST: "db.example.com",
    PGOPTIONS: "-c default_transaction_read_only=on -c search_path=nowhere",
    PGPASSWORD: "other",
    PGPORT: "1",
    PGREPLICATION: "database",
    PGSERVICE: "other",
    PGSSLMODE: "verify-full",
    PGSSLNEGOTIATION: "direct",
    PGSSLROOTCERT: "/nowhere/root.crt",
    PGUSER: "other",
  };
  const ended = await runProcess(["migrate"], { DATA_DIR: dataDir, ...environment });
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  expect(ended.stdout).toMatch(/^Applied: /);
});

test("SIGTERM while it waits for another process's migration ends it", async ({
  database,
  environment,
  start,
}) => {
  await database.db.transaction(async (tx) => {
    await tx.query("select pg_advisory_xact_lock($1)", [0x66616e6d]);
    const service = start(["start"], environment);
    const waits = `select from pg_locks join pg_database on oid = database
      where locktype = 'advisory' and not granted and datname = current_database()`;
    await until("it waits", async () => (await tx.query(waits)).length > 0);
    service.child.kill("SIGTERM");
    expect(await service.ended).toMatchObject({ code: 0 });
  });
});

describe("a PostgreSQL", () => {
  test.for<[string, (url: URL) => void, RegExp]>([
    ["away", (url) => Object.assign(url, { port: "1" }), /connect ECONNREFUSED 127\.0\.0\.1:1/],
    [
      "of another password",
      (url) => Object.assign(url, { password: "guess" }),
      /password authentication failed/,
    ],
    ["of no known name", (url) => Object.assign(url, { hostname: "nowhere.invalid" }), /nowhere\.invalid/],
    [
      "without that database",
      (url) => Object.assign(url, { pathname: "/nothing" }),
      /database "nothing" does not exist/,
    ],
    ["without TLS", (url) => url.searchParams.set("sslmode", "require"), /does not support SSL/],
  ])("%s: the service ends, and says why", async ([, change, reason], { environment }) => {
    const url = new URL(environment.DATABASE_URL);
    change(url);
    const { code, stderr } = await run(["start"], { ...environment, DATABASE_URL: url.href, PORT: "0" });
    expect(code).toBe(1);
    expect(stderr).toMatch(reason);
    expect(stderr).not.toMatch(/guess|fanmail:[0-9a-f]{20}/);
  });
});
