import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { Client } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findPostmaster } from "../../../src/embedded/postmaster.ts";
import { killed, pgdataOf, query, Sandbox, until } from "../../embedded/sandbox.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.close());

const isRunning = async (dataDir: string) => (await findPostmaster(pgdataOf(dataDir))) !== null;

test("after kill -9 of its owner a server ends by itself, unless it is adopted or still used", async () => {
  const [left, adopted, used] = await Promise.all(
    [1, 2, 3].map(async () => {
      const dataDir = await sandbox.directory();
      return { dataDir, owner: await sandbox.owner(dataDir) };
    }),
  );
  if (!left || !adopted || !used) throw new Error("there are three");
  const command = new Client(used.owner.report.url!);
  await command.connect();
  for (const { owner } of [adopted, used, left]) await killed(owner.process);
  const { url } = await sandbox.start(adopted.dataDir);

  await until(async () => !(await isRunning(left.dataDir)), 40_000);

  expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
  expect((await command.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await command.end();
  await until(async () => !(await isRunning(used.dataDir)), 40_000);
});

test("a start that fails leaves no server running", async () => {
  const dataDir = await sandbox.directory();
  await (await sandbox.start(dataDir)).stop();
  const passwordFile = path.join(dataDir, "postgres/password");
  const password = await readFile(passwordFile, "utf8");
  await writeFile(passwordFile, "guess");

  await expect(sandbox.start(dataDir)).rejects.toThrow("Cannot connect to the embedded PostgreSQL");

  expect(await isRunning(dataDir)).toBe(false);
  await writeFile(passwordFile, password);
  const { url } = await sandbox.start(dataDir);
  expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
});
