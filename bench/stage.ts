import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { apiKey } from "../src/domain/api-key.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../src/embedded/embedded-postgres.ts";
import { migrationsDirectory } from "../src/package-info.ts";
import { type DatabasePool, openDatabase } from "../src/storage/database.ts";
import { migrate } from "../src/storage/migrate.ts";
import { parentOf } from "./cpu-time.ts";
import { end, type Running, startScript } from "./processes.ts";

/** The environment of a benchmark: its own database, and the processes that it starts on it. */
export type Stage = {
  db: DatabasePool;
  /** The URL of `db`. */
  databaseUrl: string;
  /** An API key of its services with all scopes. */
  key: string;
  /** A directory that every user may enter. */
  directory: string;
  /** Starts the built program as a child process; it ends with the stage. */
  startService(
    command: "start" | "receiver" | "worker",
    environment?: Readonly<Record<string, string>>,
    processes?: number,
  ): Promise<ServiceProcess>;
  /** Starts another script of the build; see `startScript`. It ends with the stage. */
  startScript(script: string, args: readonly string[], ready: RegExp): Promise<Running>;
};

export type ServiceProcess = {
  pid: number;
  /** `http://host:port`; empty for a worker. */
  url: string;
  /** Ends it before the stage does. */
  end(): Promise<void>;
};

/** @property isMigrated whether the database has the tables of the product. */
type StageOptions = { isMigrated: boolean };

/** Opens a stage for `work`, and removes it afterwards in any case; on a stop request immediately. */
export async function onStage<Result>(
  stop: AbortSignal,
  work: (stage: Stage) => Promise<Result>,
  options: StageOptions = { isMigrated: true },
): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), "fanmail-bench-"));
  try {
    // If this is root, PostgreSQL runs as another user, which must be able to enter.
    await chmod(directory, 0o755);
    const server = await startEmbeddedPostgres({ dataDir: directory });
    return await onServer(directory, server, { stop, work, ...options });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

type Play<Result> = StageOptions & { stop: AbortSignal; work: (stage: Stage) => Promise<Result> };

async function onServer<Result>(
  directory: string,
  server: EmbeddedPostgres,
  { stop, work, isMigrated }: Play<Result>,
): Promise<Result> {
  const db = openDatabase(server.url, { maxConnections: 4, onIdleError: () => {} });
  const children: ChildProcess[] = [];
  const key = apiKey(randomBytes(32));
  const environment = environmentOf(directory, server.url, key);
  const start = starters(environment, children, stop);
  const stage = { db, databaseUrl: server.url, key, directory, ...start };
  const prepared = isMigrated ? migrate(db, migrationsDirectory) : Promise.resolve();
  const working = prepared.then(() => work(stage));
  try {
    return await Promise.race([working, whenAborted(stop)]);
  } finally {
    await Promise.all(children.map(end));
    // Ends running statements.
    await server.stop();
    await Promise.allSettled([working]);
    await db.close();
  }
}

function starters(
  ofServices: Readonly<Record<string, string>>,
  children: ChildProcess[],
  stop: AbortSignal,
): Pick<Stage, "startService" | "startScript"> {
  const onSpawn = (child: ChildProcess) => void children.push(child);
  return {
    async startService(command, environment = {}, processes = 1) {
      stop.throwIfAborted();
      const env = { ...ofServices, ...environment };
      const ready = command === "worker" ? /fanmail works()/ : /listens on (\S+)/;
      const args = processes === 1 ? [command] : [command, "--processes", String(processes)];
      const { child, pid, match } = await startScript("src/cli/main.js", args, { env, ready, onSpawn });
      return { pid, url: match[1] ?? "", end: () => end(child) };
    },
    startScript(script, args, ready) {
      stop.throwIfAborted();
      return startScript(script, args, { env: process.env, ready, onSpawn });
    },
  };
}

/** The main process of the stage's PostgreSQL: the parent of all its others. */
export async function postgresPid({ db }: Pick<Stage, "db">): Promise<number> {
  const [row] = await db.query<{ pid: number }>("select pg_backend_pid() as pid");
  return parentOf(row?.pid ?? 0);
}

export async function postgresVersion({ db }: Pick<Stage, "db">): Promise<string> {
  const [row] = await db.query<{ version: string }>("select current_setting('server_version') as version");
  return row?.version ?? "unknown";
}

/** Sessions of the services say this name, so that they can be told from those of the benchmark. */
export const serviceSessions = "measured";

function named(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set("application_name", serviceSessions);
  return url.href;
}

/** Rejects on a stop request. */
async function whenAborted(stop: AbortSignal): Promise<never> {
  if (!stop.aborted) await once(stop, "abort");
  throw stop.reason;
}

function environmentOf(dataDir: string, databaseUrl: string, key: string): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "",
    PORT: "0",
    DATABASE_URL: named(databaseUrl),
    DATA_DIR: dataDir,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    BOOTSTRAP_API_KEY: key,
    RATE_LIMIT_PER_MINUTE: "100000000",
    WEBHOOK_ALLOWED_CIDRS: "127.0.0.0/8",
    LOG_LEVEL: "warn",
  };
}
