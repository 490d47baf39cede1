import { spawn } from "node:child_process";
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { Client, Pool } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findPostmaster } from "../../../src/embedded/postmaster.ts";
import { killed, pgdataOf, pidIn, query, Sandbox, until } from "../../embedded/sandbox.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.close());

test("a start after kill -9 of the owner adopts the server that it left", async () => {
  const dataDir = await sandbox.directory();
  const former = await sandbox.owner(dataDir);
  const pid = await pidIn(pgdataOf(dataDir));
  await killed(former.process);

  const { url } = await sandbox.start(dataDir);
  expect(url).toBe(former.report.url);
  expect(await pidIn(pgdataOf(dataDir))).toBe(pid);
  expect(sandbox.lines).toEqual([`Adopted the PostgreSQL (process ${pid}) that was already running`]);
});

test("a server left by a killed owner is restarted when another port is wanted", async () => {
  const dataDir = await sandbox.directory();
  const former = await sandbox.owner(dataDir);
  await killed(former.process);
  const other = await sandbox.start(await sandbox.directory());
  const port = Number(new URL(other.url).port);
  await other.stop();

  const { url } = await sandbox.start(dataDir, port);
  expect(new URL(url).port).toBe(String(port));
  expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("a server that its guardian begins to stop while it is adopted is replaced by one that takes connections", async () => {
  const dataDir = await sandbox.directory();
  const former = await sandbox.owner(dataDir);
  const pid = await pidIn(pgdataOf(dataDir));
  await killed(former.process);
  const url = new URL(former.report.url!);
  url.pathname = "/postgres";
  const holder = new Client(url.href);
  await holder.connect();
  await holder.query("select pg_advisory_lock(72616913)");

  const starting = sandbox.start(dataDir);
  const waiting = `select 1 from pg_stat_activity where application_name = 'fanmail ${process.pid}'`;
  await until(async () => (await holder.query(waiting)).rowCount === 1);
  process.kill(pid, "SIGTERM");
  await until(async () => (await findPostmaster(pgdataOf(dataDir)))?.isReady === false);
  await holder.end();

  expect(await query((await starting).url, "select 1 as one")).toEqual([{ one: 1 }]);
  expect(await pidIn(pgdataOf(dataDir))).not.toBe(pid);
});

test("an adopted server is stopped by stop()", async () => {
  const dataDir = await sandbox.directory();
  await killed((await sandbox.owner(dataDir)).process);
  await (await sandbox.start(dataDir)).stop();
  expect(await findPostmaster(pgdataOf(dataDir))).toBeNull();
});

test("kill -9 of the owner and of the server leaves nothing that stops the next start", async () => {
  const dataDir = await sandbox.directory();
  const former = await sandbox.owner(dataDir);
  await query(former.report.url!, "create table letters as select 'dear' as text");
  former.process.kill("SIGKILL");
  process.kill(await pidIn(pgdataOf(dataDir)), "SIGKILL");
  await killed(former.process);

  const { url } = await sandbox.start(dataDir);
  expect(await query(url, "select text from letters")).toEqual([{ text: "dear" }]);
});

test("a server that is killed comes back on its port, and a pool finds it", async () => {
  const dataDir = await sandbox.directory();
  const { url } = await sandbox.start(dataDir);
  const pool = new Pool({ connectionString: url });
  pool.on("error", () => {});
  try {
    await pool.query("create table letters as select 'dear' as text");
    for (let round = 0; round < 2; round += 1) {
      const pid = await pidIn(pgdataOf(dataDir));
      process.kill(pid, "SIGKILL");
      await until(async () => {
        const found = await findPostmaster(pgdataOf(dataDir));
        return found !== null && found.pid !== pid && sandbox.lines.length === 2 * (round + 1);
      });
      expect((await pool.query("select text from letters")).rows).toEqual([{ text: "dear" }]);
    }
  } finally {
    await pool.end();
  }
  const port = new URL(url).port;
  expect(sandbox.lines.slice(0, 2)).toEqual([
    `The embedded PostgreSQL went away; bringing it back on port ${port}`,
    `The embedded PostgreSQL is back on port ${port}`,
  ]);
  await expect(sandbox.start(dataDir)).rejects.toThrow("is in use by process");
});

test("stop() while the server is being brought back leaves nothing running", async () => {
  const dataDir = await sandbox.directory();
  const server = await sandbox.start(dataDir);
  process.kill(await pidIn(pgdataOf(dataDir)), "SIGKILL");
  await until(async () => sandbox.lines.length > 0);
  await server.stop();
  expect(await findPostmaster(pgdataOf(dataDir))).toBeNull();
});

test("an initialisation that was interrupted is done again", async () => {
  const dataDir = await sandbox.directory();
  const gone = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => gone.once("exit", resolve));
  const draft = path.join(dataDir, `postgres.draft-${gone.pid}-0badcafe`);
  await mkdir(path.join(draft, "data/base"), { recursive: true });
  await writeFile(path.join(draft, "data/PG_VERSION"), "18");

  const { url } = await sandbox.start(dataDir);
  expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
  expect(await readdir(dataDir)).toEqual(["postgres"]);
});

test("a stale pid file whose pid is another process now does not stop the start", async () => {
  const dataDir = await sandbox.directory();
  const former = await sandbox.owner(dataDir);
  const pidFile = path.join(pgdataOf(dataDir), "postmaster.pid");
  const content = await readFile(pidFile, "utf8");
  await killed(former.process);
  await (await sandbox.start(dataDir)).stop();
  // The bystander runs as the server's user, so PostgreSQL itself would refuse.
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const bystander = spawn("sleep", ["60"], { ...user, stdio: "ignore" });
  try {
    await writeFile(pidFile, content.replace(/^\d+/, String(bystander.pid)));
    const { url } = await sandbox.start(dataDir);
    expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(bystander.exitCode).toBeNull();
  } finally {
    await killed(bystander);
  }
});

test("an empty pid file, as a power failure leaves it, does not stop the start", async () => {
  const dataDir = await sandbox.directory();
  await (await sandbox.start(dataDir)).stop();
  await writeFile(path.join(pgdataOf(dataDir), "postmaster.pid"), "");
  const { url } = await sandbox.start(dataDir);
  expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("a copy of a running data directory does not adopt the server of the original", async () => {
  const original = await sandbox.directory();
  const { url } = await sandbox.start(original);
  const copy = await sandbox.directory();
  await cp(path.join(original, "postgres"), path.join(copy, "postgres"), { recursive: true });
  expect(await findPostmaster(pgdataOf(copy))).toBeNull();
  expect(await findPostmaster(pgdataOf(original))).toMatchObject({ port: Number(new URL(url).port) });
});
