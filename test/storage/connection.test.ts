import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { poolSettings } from "../../src/storage/connection.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { startTestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { webhookSink } from "../support/webhook-sink.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database.drop());

const hostile: Record<string, string> = {
  array_nulls: "off",
  bytea_output: "escape",
  DateStyle: "German",
  default_transaction_deferrable: "on",
  default_transaction_isolation: "serializable",
  extra_float_digits: "-15",
  idle_in_transaction_session_timeout: "1",
  idle_session_timeout: "1000",
  IntervalStyle: "iso_8601",
  lock_timeout: "1",
  search_path: "nowhere",
  standard_conforming_strings: "off",
  statement_timeout: "1000",
  TimeZone: "Asia/Kathmandu",
  transform_null_equals: "on",
};

async function setDefaults(settings: Record<string, string>): Promise<void> {
  const name = new URL(database.url).pathname.slice(1);
  for (const [setting, value] of Object.entries(settings))
    await database.db.query(`alter database ${name} set ${setting} = '${value}'`);
}

function withOptions(options: string): string {
  const url = new URL(database.url);
  url.searchParams.set("options", options);
  return url.href;
}

const asOptions = (settings: Record<string, string>) =>
  Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" ");

async function settingsOn(url: string): Promise<Record<string, string>> {
  const db = openDatabase(url, { maxConnections: 1, onIdleError: () => {} });
  const rows = await db.query<{ name: string; setting: string }>(
    "select name, current_setting(name) as setting from unnest($1::text[]) as name",
    [Object.keys(hostile)],
  );
  await db.close();
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
}

const ours = {
  array_nulls: "on",
  bytea_output: "hex",
  DateStyle: "ISO, MDY",
  default_transaction_deferrable: "off",
  default_transaction_isolation: "read committed",
  extra_float_digits: "1",
  idle_in_transaction_session_timeout: "1min",
  idle_session_timeout: "0",
  IntervalStyle: "postgres",
  lock_timeout: "0",
  search_path: "public",
  standard_conforming_strings: "on",
  statement_timeout: "1min",
  TimeZone: "UTC",
  transform_null_equals: "off",
};

describe("a session is ours", () => {
  test("whatever the database has as defaults", async () => {
    await setDefaults(hostile);
    expect(await settingsOn(database.url)).toEqual(ours);
  });

  test("whatever the options of the URL set, apart from a search path", async () => {
    expect(await settingsOn(withOptions(asOptions(hostile)))).toEqual({ ...ours, search_path: "nowhere" });
  });

  test("whatever the environment of the process sets", async () => {
    process.env["PGOPTIONS"] = asOptions(hostile);
    process.env["PGSSLNEGOTIATION"] = "direct";
    expect(await settingsOn(database.url)).toEqual(ours);
  });
});

test("the whole way works on a database with other defaults and a URL with options", async () => {
  await setDefaults(hostile);
  const sink = await webhookSink(() => ({ status: 200 }));
  const databaseUrl = withOptions("-c lock_timeout=1 -c search_path=public");
  const service = await startTestService({ databaseUrl });
  await addEndpoint(service.context, sink.url);

  await service.ingest(service.signer.notification(asMessage(sesEvent("Send", { messageId: "a" }))));
  await until("the webhook arrives", () => sink.received.length === 1);
  const tracked = { email: "a@example.com", event: "x", timestamp: "2026-02-03T04:05:06Z" };
  await service.request("POST", "/v1/events", { body: tracked });
  const events = await (await service.get("/v1/events")).json();

  expect(events.data[0].timestamp).toBe("2026-02-03T04:05:06.000Z");
  await service.close();
  await sink.close();
});

test("tables are in the schema that the URL's search path names", async () => {
  await database.db.query("create schema mine");
  const service = await startTestService({ databaseUrl: withOptions("-c search_path=mine") });
  await service.close();
  const rows = await database.db.query(
    "select 1 from pg_tables where schemaname = 'mine' and tablename = 'events'",
  );
  expect(rows).toHaveLength(1);
});

describe("TLS is as libpq has it", () => {
  const cases: [string, NodeJS.ProcessEnv, Record<string, string>][] = [
    ["?sslmode=require", {}, { sslmode: "require", uselibpqcompat: "true" }],
    ["?sslmode=verify-full", {}, { sslmode: "verify-full", uselibpqcompat: "true" }],
    ["?sslmode=allow", {}, { sslmode: "disable", uselibpqcompat: "true" }],
    ["?sslmode=no-verify", {}, { sslmode: "no-verify" }],
    ["?sslmode=require&sslrootcert=system", {}, { sslmode: "verify-full", uselibpqcompat: "true" }],
    ["", { PGSSLMODE: "require" }, { sslmode: "require", uselibpqcompat: "true" }],
    ["?sslmode=disable", { PGSSLMODE: "require" }, { sslmode: "disable", uselibpqcompat: "true" }],
    [
      "?sslmode=disable",
      { PGSSLROOTCERT: "/nowhere/root.crt" },
      { sslmode: "disable", uselibpqcompat: "true" },
    ],
    ["", { PGSSLROOTCERT: "/nowhere/root.crt" }, {}],
    ["?ssl=true", { PGSSLMODE: "disable" }, { ssl: "true" }],
    ["", {}, {}],
  ];
  test.each(cases)("%s with %j", (query, environment, expected) => {
    const { connectionString } = poolSettings(`postgres://u:p@db.example.com/f${query}`, null, environment);
    expect(Object.fromEntries(new URL(connectionString).searchParams)).toEqual(expected);
  });
});

test("a user without a host, before a socket's directory, is taken", () => {
  const { connectionString } = poolSettings("postgres://ann@/fanmail?host=/var/run/postgresql", null, {});
  expect(connectionString).toBe("postgres://ann@localhost/fanmail?host=%2Fvar%2Frun%2Fpostgresql");
});
