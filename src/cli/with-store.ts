import { join } from "node:path";
import type { Config } from "../config.ts";
import { NoDatabaseError, openStore, type StoreContext } from "../context.ts";
import { isDatabaseIn } from "../embedded/embedded-postgres.ts";
import { errorText } from "../logger.ts";
import { findProject, type Project } from "../storage/projects.ts";
import { environmentConfig, readHttpUrl, UsageError } from "./command.ts";

type Manner = {
  /** Whether to create a database if there is none. */
  makes: boolean;
  /** Whether to fail while a service is running. */
  owns?: boolean;
};

/** For commands that may be the first to write to a database. All others need an existing one. */
export const making: Manner = { makes: true };

/**
 * Opens the database for a command, also while a service is running, and reports on standard error which one it is.
 * @throws if there is none, with what to do next.
 */
export async function withStore<Result>(
  work: (store: StoreContext) => Promise<Result>,
  { makes, owns = false }: Manner = { makes: false },
): Promise<Result> {
  const config = environmentConfig();
  // The embedded database's start messages are not part of a command's output.
  const quiet = config.logLevel === "info" ? { ...config, logLevel: "warn" as const } : config;
  const options = { attach: !owns, mustExist: !makes, onDatabase: tellDatabase };
  const store = await openStore(quiet, options).catch(async (error) => {
    throw error instanceof NoDatabaseError ? await nothingYet(config, error) : error;
  });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/**
 * Reads what a command lists. Without a database the list is empty, and standard error says what to do next.
 */
export async function readStored<Row>(read: (store: StoreContext) => Promise<Row[]>): Promise<Row[]> {
  try {
    return await withStore(read);
  } catch (error) {
    if (!(error instanceof NothingYetError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return [];
  }
}

/** Reports on standard error which database a command uses. */
export function tellDatabase(name: string): void {
  process.stderr.write(`Database: ${name}\n`);
}

/** The demonstration's data directory, separate from a real service's data. */
export function demoDirectory(dataDir: string): string {
  return join(dataDir, "demo");
}

class NothingYetError extends Error {
  override readonly name = "NothingYetError";
}

async function nothingYet({ databaseUrl, dataDir }: Config, cause: NoDatabaseError): Promise<Error> {
  const demoDir = demoDirectory(dataDir);
  const isDemoThere = databaseUrl === null && (await isDatabaseIn(demoDir));
  const next = isDemoThere
    ? `the demonstration's is in ${demoDir}: set DATA_DIR to that. For one of your own: npx fanmail start`
    : "begin with npx fanmail start, or set DATA_DIR or DATABASE_URL to where the service has its own";
  return new NothingYetError(`Nothing is here yet: ${cause.message}; ${next}`);
}

/** @throws UsageError when there is no such project. */
export async function projectNamed(store: StoreContext, nameOrId: string): Promise<Project> {
  const project = await findProject(store.db, nameOrId);
  if (project) return project;
  throw new UsageError(`There is no project "${nameOrId}"; list them with: npx fanmail projects list`);
}

/**
 * Finds the running service: without one, a command would start a database of its own and wait forever.
 * @param text the option `--url`; absent: the service of this machine.
 * @returns its URL without a trailing slash.
 * @throws UsageError if nothing answers.
 */
export async function runningService(text: string | undefined, { port }: Config): Promise<string> {
  const given = text ?? `http://127.0.0.1:${port}`;
  const url = readHttpUrl("--url", given, "http://127.0.0.1:3000").replace(/\/+$/, "");
  const { request } = await import("undici");
  try {
    const { body } = await request(`${url}/healthz`);
    await body.dump();
    return url;
  } catch (cause) {
    throw new UsageError(
      `No Fanmail answers at ${url} (${errorText(cause)}). Start it with npx fanmail start, or name its address with --url`,
      { cause },
    );
  }
}
