import { mkdir, readdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { Client } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { attachEmbeddedPostgres, DataDirInUseError } from "../../../src/embedded/embedded-postgres.ts";
import { findPostmaster } from "../../../src/embedded/postmaster.ts";
import { pgdataOf, query, Sandbox } from "../../embedded/sandbox.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.close());

test("a wrong password is refused", async () => {
  const { url } = await sandbox.start(await sandbox.directory());
  const wrong = new URL(url);
  wrong.password = "guess";
  await expect(new Client(wrong.href).connect()).rejects.toMatchObject({ code: "28P01" });
});

test("a second start on the directory is refused, in this process and in another", async () => {
  const dataDir = await sandbox.directory();
  await sandbox.start(dataDir);
  const refusal = sandbox.start(dataDir);
  await expect(refusal).rejects.toThrow(DataDirInUseError);
  await expect(refusal).rejects.toThrow(`${dataDir} is in use by process ${process.pid}: stop that one`);
  expect((await sandbox.owner(dataDir)).report.error).toBe("DataDirInUseError");
});

test("of starts at the same time on a new directory exactly one wins", async () => {
  const dataDir = await sandbox.directory();
  const inside = await Promise.allSettled([
    sandbox.start(dataDir),
    sandbox.start(dataDir),
    sandbox.owner(dataDir),
  ]);
  const outcomes = inside.map((result) => {
    if (result.status === "rejected") return result.reason.name;
    return "report" in result.value ? (result.value.report.error ?? "won") : "won";
  });
  expect(outcomes.sort()).toEqual(["DataDirInUseError", "DataDirInUseError", "won"]);
});

test("the wanted port is used, and a taken one is named", async () => {
  const blocker = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => blocker.once("listening", resolve));
  const address = blocker.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const dataDir = await sandbox.directory();
  await expect(sandbox.start(dataDir, port)).rejects.toThrow(`Port ${port} is taken by another program`);
  await new Promise((resolve) => blocker.close(resolve));
  const { url } = await sandbox.start(dataDir, port);
  expect(new URL(url).port).toBe(String(port));
});

test("an attached command uses the running server and leaves it running", async () => {
  const dataDir = await sandbox.directory();
  const owned = await sandbox.start(dataDir);
  const attached = await attachEmbeddedPostgres({ dataDir });
  expect(attached.url).toBe(owned.url);
  await attached.stop();
  expect(await query(owned.url, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("an attached command starts the server for its own time when none runs", async () => {
  const dataDir = await sandbox.directory();
  const attached = await attachEmbeddedPostgres({ dataDir });
  expect(await query(attached.url, "select 1 as one")).toEqual([{ one: 1 }]);
  await attached.stop();
  expect(await findPostmaster(pgdataOf(dataDir))).toBeNull();
});

test("settings reach the server", async () => {
  const dataDir = await sandbox.directory();
  const server = await attachEmbeddedPostgres({
    dataDir,
    settings: { max_connections: "42", work_mem: "7MB" },
  });
  try {
    expect(await query(server.url, "show max_connections")).toEqual([{ max_connections: "42" }]);
    expect(await query(server.url, "show work_mem")).toEqual([{ work_mem: "7MB" }]);
  } finally {
    await server.stop();
  }
});

test("a directory that holds something else is left alone", async () => {
  const dataDir = await sandbox.directory();
  await mkdir(path.join(dataDir, "postgres"));
  await writeFile(path.join(dataDir, "postgres/diary.txt"), "dear");
  await expect(sandbox.start(dataDir)).rejects.toThrow("holds files but no database; move it away");
  expect(await readdir(dataDir)).toEqual(["postgres"]);
});

test("a setting that the server refuses is told with the end of its log", async () => {
  const dataDir = await sandbox.directory();
  const refusal = attachEmbeddedPostgres({ dataDir, settings: { no_such: "1" } });
  await expect(refusal).rejects.toThrow(
    /did not start; .*\n.*unrecognized configuration parameter "no_such"/,
  );
});
