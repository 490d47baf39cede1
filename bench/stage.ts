import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { apiKey } from "../src/domain/api-key.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../src/embedded/embedded-postgres.ts";
import { migrationsDirectory, packageRoot } from "../src/package-info.ts";
import { type DatabasePool, openDatabase } from "../src/storage/database.ts";
import { migrate } from "../src/storage/migrate.ts";

/** The environment of a benchmark: its own migrated database, and the services that it starts on it. */
export type Stage = {
  db: DatabasePool;
  /** The URL of `db`. */
  databaseUrl: string;
  /** Starts the built program as a child process; it ends with the stage. */
  startService(
    command: "start" | "receiver",
    environment?: Readonly<Record<string, string>>,
  ): Promise<ServiceProcess>;
};

export type ServiceProcess = {
  pid: number;
  /** `http://host:port` */
  url: string;
  /** An API key with all scopes. */
  key: string;
};

/** Opens a stage for `work`, and removes it afterwards in any case; on a stop request immediately. */
export async function onStage<Result>(
  stop: AbortSignal,
  work: (stage: Stage) => Promise<Result>,
): Promise<Result> {
  const dataDir = await mkdtemp(join(tmpdir(), "fanmail-bench-"));
  try {
    // If this is root, PostgreSQL runs as another user, which must be able to enter.
    await chmod(dataDir, 0o755);
    const server = await startEmbeddedPostgres({ dataDir });
    return await onServer(dataDir, server, stop, work);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function onServer<Result>(
  dataDir: string,
  server: EmbeddedPostgres,
  stop: AbortSignal,
  work: (stage: Stage) => Promise<Result>,
): Promise<Result> {
  const db = openDatabase(server.url, { maxConnections: 4, onIdleError: () => {} });
  const children: ChildProcess[] = [];
  const stage: Stage = {
    db,
    databaseUrl: server.url,
    async startService(command, environment = {}) {
      stop.throwIfAborted();
      const key = apiKey(randomBytes(32));
      const child = spawnService(command, { ...environmentOf(dataDir, server.url, key), ...environment });
      children.push(child);
      const url = await urlOf(child);
      if (child.pid === undefined) throw new Error("unreachable: a process that has printed has an id");
      return { pid: child.pid, url, key };
    },
  };
  const working = migrate(db, migrationsDirectory).then(() => work(stage));
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

/** Rejects on a stop request. */
async function whenAborted(stop: AbortSignal): Promise<never> {
  if (!stop.aborted) await once(stop, "abort");
  throw stop.reason;
}

function environmentOf(dataDir: string, databaseUrl: string, key: string): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "",
    PORT: "0",
    DATABASE_URL: databaseUrl,
    DATA_DIR: dataDir,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    BOOTSTRAP_API_KEY: key,
    RATE_LIMIT_PER_MINUTE: "100000000",
    WEBHOOK_ALLOWED_CIDRS: "127.0.0.0/8",
    LOG_LEVEL: "warn",
  };
}

function spawnService(command: string, env: Record<string, string>): ChildProcess {
  const main = fileURLToPath(new URL("dist/src/cli/main.js", packageRoot));
  // Its log lines are for the user of the benchmark.
  return spawn(process.execPath, [main, command], { env, stdio: ["ignore", "pipe", "inherit"] });
}

async function urlOf(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("unreachable: its standard output is a pipe");
  for await (const line of createInterface(child.stdout)) {
    const url = /listens on (\S+)/.exec(line)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error("The service ended before it listened");
}

/** A service ends by itself within 10 seconds. */
const endWithinMs = 12_000;

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const kill = setTimeout(() => child.kill("SIGKILL"), endWithinMs);
  child.kill("SIGTERM");
  await once(child, "exit");
  clearTimeout(kill);
}
