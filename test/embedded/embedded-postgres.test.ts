import { stat } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findPostmaster } from "../../src/embedded/postmaster.ts";
import { pgdataOf, query, Sandbox } from "./sandbox.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.close());

test("the first start makes the database and a later one finds its data", async () => {
  const dataDir = await sandbox.directory();
  const first = await sandbox.start(dataDir);
  await query(first.url, "create table letters as select 'dear' as text");
  await first.stop();
  expect(await findPostmaster(pgdataOf(dataDir))).toBeNull();

  const second = await sandbox.start(dataDir);
  expect(await query(second.url, "select text from letters")).toEqual([{ text: "dear" }]);
});

test("the server is private, durable, UTF-8, locale C and UTC", async () => {
  const dataDir = await sandbox.directory();
  const { url } = await sandbox.start(dataDir);
  const settings = await query(
    url,
    `select name, setting from pg_settings where name in ('listen_addresses', 'unix_socket_directories', 'fsync',
       'TimeZone', 'server_encoding', 'max_connections', 'password_encryption') order by name collate "C"`,
  );
  expect(Object.fromEntries(settings.map((row) => [row["name"], row["setting"]]))).toEqual({
    TimeZone: "UTC",
    fsync: "on",
    listen_addresses: "127.0.0.1",
    max_connections: "100",
    password_encryption: "scram-sha-256",
    server_encoding: "UTF8",
    unix_socket_directories: "",
  });
  expect(await query(url, "select datcollate from pg_database where datname = 'fanmail'")).toEqual([
    { datcollate: "C" },
  ]);
  expect((await stat(pgdataOf(dataDir))).mode & 0o777).toBe(0o700);
  expect((await stat(path.join(dataDir, "postgres/password"))).mode & 0o777).toBe(0o600);
});
