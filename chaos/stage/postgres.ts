import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { freePort } from "../../bench/free-port.ts";
import { findPackage, prepareBinaries } from "../../src/embedded/binaries.ts";
import { locate, type Place, type ServerPlan } from "../../src/embedded/directory.ts";
import { initialise, superuser } from "../../src/embedded/initialise.ts";
import {
  findPostmaster,
  type Postmaster,
  spawnPostmaster,
  stopPostmaster,
} from "../../src/embedded/postmaster.ts";
import { initialiseInstalled } from "./installed-postgres.ts";
import { childrenOf, signal } from "./processes.ts";
import type { Watchdog } from "./watchdog.ts";

/** A PostgreSQL that nobody keeps running. */
export type ChaosPostgres = {
  port: number;
  /** Its log, of all times it ran. */
  logFile: string;
  /** The directory of its programs. */
  bin: string;
  /** @param port of a relay that leads to it. @param database "fanmail" unless given. */
  urlAt(port: number, database?: string): string;
  createDatabase(name: string): Promise<void>;
  /** Shuts it down in order; returns when it is down. */
  stop(): Promise<void>;
  /** Ends it like a crash (an immediate shutdown): the next start recovers from the WAL. */
  crash(): Promise<void>;
  /** Kills the process behind a random connection; the server ends all others too, and recovers. */
  killBackend(pick: (count: number) => number): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Starts it again; tries for as long as the cause of a failure may pass (a full volume, a backend that still ends). */
  start(): Promise<void>;
  isRunning(): Promise<boolean>;
  /** Deadlocks that it has resolved by ending a transaction, of all times it ran. */
  deadlocks(): Promise<number>;
  /** Messages of severity PANIC, and of internal errors. */
  panics(): Promise<string[]>;
};

const startsWithinMs = 60_000;
/** One file for the whole run; the product's own server log starts anew at a size. */
const logName = "server.log";

/** @param programs a directory with `initdb` and `postgres`; null: those of the embedded PostgreSQL. */
export async function startPostgres(
  dataDir: string,
  watchdog: Watchdog,
  programs: string | null,
): Promise<ChaosPostgres> {
  const place = await locate(dataDir, () => {});
  const bin = programs ?? (await prepareBinaries(findPackage(), place.user));
  await (programs === null ? initialise(place, bin) : initialiseInstalled(place, bin));
  const port = await freePort();
  const password = await readFile(place.passwordFile, "utf8");
  const logFile = join(place.pgdata, "log", logName);
  let server: Postmaster | null = null;
  const start = async () => {
    server = await startServer(planOf(place), bin, port);
    watchdog.started(server.pid);
  };
  const pid = () => {
    if (server === null) throw new Error("PostgreSQL does not run");
    return server.pid;
  };
  const gone = async () => {
    while ((await findPostmaster(place.pgdata)) !== null) await sleep(20);
    if (server) watchdog.ended(server.pid);
    server = null;
  };
  const everyProcess = async (name: NodeJS.Signals) => {
    for (const one of [pid(), ...(await childrenOf(pid()))]) signal(one, name);
  };
  await start();
  const urlAt = (at: number, database = "fanmail") =>
    `postgres://${superuser}:${password}@127.0.0.1:${at}/${database}?sslmode=disable`;
  const create = (name: string) => createDatabase(urlAt(port, "postgres"), name);
  await create("fanmail");
  return {
    port,
    bin,
    logFile,
    urlAt,
    createDatabase: create,
    start,
    async stop() {
      if (server === null) return;
      await stopPostmaster(place, server.pid, bin);
      await gone();
    },
    async crash() {
      if (server === null) return;
      signal(pid(), "SIGQUIT");
      await gone();
    },
    async killBackend(pick) {
      const backends = await backendsOf(pid());
      const victim = backends[pick(backends.length)];
      if (victim !== undefined) signal(victim, "SIGKILL");
    },
    freeze: () => everyProcess("SIGSTOP"),
    thaw: () => everyProcess("SIGCONT"),
    isRunning: async () => (await findPostmaster(place.pgdata))?.isReady === true,
    deadlocks: async () => (await linesWith(logFile, /ERROR: {2}deadlock detected/)).length,
    panics: () => linesWith(logFile, /(PANIC|XX\d{3}|TRAP): /),
  };
}

function planOf(place: Place): ServerPlan {
  const settings = {
    max_connections: "150",
    logging_collector: "on",
    log_directory: "log",
    log_filename: logName,
    log_rotation_size: "0",
    log_rotation_age: "0",
    log_min_messages: "warning",
  };
  return { place, settings, log: () => {}, signal: new AbortController().signal };
}

async function startServer(plan: ServerPlan, bin: string, port: number): Promise<Postmaster> {
  const untilMs = performance.now() + startsWithinMs;
  for (;;) {
    try {
      return await spawnPostmaster(plan, bin, port);
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await sleep(200);
    }
  }
}

async function createDatabase(url: string, name: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(`create database ${name}`);
  await client.end();
}

/** Processes that serve a client. */
async function backendsOf(postmaster: number): Promise<number[]> {
  const children = await childrenOf(postmaster);
  const titles = await Promise.all(
    children.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return children.filter((_, place) => / fanmail 127\.0\.0\.1/.test(titles[place] ?? ""));
}

async function linesWith(file: string, wanted: RegExp): Promise<string[]> {
  const found: string[] = [];
  for await (const line of createInterface(createReadStream(file))) if (wanted.test(line)) found.push(line);
  return found;
}
