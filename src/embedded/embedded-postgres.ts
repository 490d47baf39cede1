import { readFile } from "node:fs/promises";
import { acquire } from "./adopt.ts";
import { connectWhenReady, ensureDatabase } from "./connection.ts";
import { hasDatabase, isDatabaseIn, locate, type Place, type ServerPlan } from "./directory.ts";
import { DataDirInUseError, ServerGoneError } from "./failure.ts";
import { superuser } from "./initialise.ts";
import { findPostmaster } from "./postmaster.ts";
import { startGuardian, supervise } from "./supervise.ts";

export { DataDirInUseError, isDatabaseIn };

/** A running server. */
export type EmbeddedPostgres = {
  /** `postgres://user:password@127.0.0.1:port/fanmail?sslmode=disable` */
  url: string;
  stop(): Promise<void>;
};

export type EmbeddedPostgresOptions = {
  /** Its `postgres` subdirectory contains the database. */
  dataDir: string;
  /** Absent: the system chooses one. */
  port?: number;
  log?: (line: string) => void;
  /** Server settings (`-c name=value`); a running server that is adopted keeps its own. */
  settings?: Record<string, string>;
  /** Called when the server's process has been started: it takes a while until it is ready. */
  onSpawn?: (() => void) | undefined;
  /** Aborts a start that is in progress; has no effect afterwards. */
  signal?: AbortSignal | undefined;
};

/**
 * Starts the PostgreSQL of a data directory, or adopts the one that a killed process left running, and keeps it
 * running until stop(). The first start creates the database.
 * @throws DataDirInUseError when another live process owns it.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const abort = new AbortController();
  const plan = await planFor(options, abort.signal);
  const guardian = startGuardian(plan.place);
  const onAbort = () => abort.abort(options.signal?.reason);
  options.signal?.addEventListener("abort", onAbort);
  try {
    options.signal?.throwIfAborted();
    const owned = await acquire(plan, options.port);
    const stop = once(supervise(plan, owned, abort, guardian));
    return { url: await urlOf(plan.place, owned.port), stop };
  } catch (error) {
    guardian.dismiss();
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * For short commands: uses the data directory's running server, and leaves it running at stop(); otherwise starts one
 * until stop().
 */
export async function attachEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const plan = await planFor(options, new AbortController().signal);
  const running = await useRunning(plan);
  if (running !== null) return running;
  try {
    return await startEmbeddedPostgres(options);
  } catch (error) {
    // Its owner may have started in between.
    const started = error instanceof DataDirInUseError ? await useRunning(plan) : null;
    if (started === null) throw error;
    return started;
  }
}

async function useRunning(plan: ServerPlan): Promise<EmbeddedPostgres | null> {
  const server = hasDatabase(plan.place) ? await findPostmaster(plan.place.pgdata) : null;
  if (server === null) return null;
  try {
    const client = await connectWhenReady(plan, server);
    await ensureDatabase(client).finally(() => client.end());
  } catch (error) {
    if (error instanceof ServerGoneError) return null;
    throw error;
  }
  return { url: await urlOf(plan.place, server.port), stop: async () => {} };
}

async function planFor(options: EmbeddedPostgresOptions, signal: AbortSignal): Promise<ServerPlan> {
  const log = options.log ?? (() => {});
  const { settings = {}, onSpawn } = options;
  return { place: await locate(options.dataDir, log), settings, log, onSpawn, signal };
}

async function urlOf(place: Place, port: number): Promise<string> {
  return `postgres://${superuser}:${await readFile(place.passwordFile, "utf8")}@127.0.0.1:${port}/fanmail?sslmode=disable`;
}

function once(stop: () => Promise<void>): () => Promise<void> {
  let stopped: Promise<void> | undefined;
  return () => {
    stopped ??= stop();
    return stopped;
  };
}
