import { join } from "node:path";
import type { Config } from "../config.ts";
import { NoDatabaseError, openStore, type StoreContext } from "../context.ts";
import { isDatabaseIn } from "../embedded/embedded-postgres.ts";
import { findProject, type Project } from "../storage/projects.ts";
import { environmentConfig, UsageError } from "./command.ts";

type Manner = {
  /** Whether a database is made where there is none. */
  makes: boolean;
  /** Whether it insists on there being no service beside it. */
  owns?: boolean;
};

/** For a command that puts the first things into a database. All others need one that is there. */
export const making: Manner = { makes: true };

/**
 * Opens the database for the time of a command, also beside a service that runs, and says on standard error which one.
 * @throws when it is not there, with what to do next.
 */
export async function withStore<Result>(
  work: (store: StoreContext) => Promise<Result>,
  { makes, owns = false }: Manner = { makes: false },
): Promise<Result> {
  const config = environmentConfig();
  // What the embedded database tells while starting is not what was asked for.
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
 * Reads what a command lists. Where nothing is yet the list is empty, and standard error has what to do next.
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

/** Says on standard error which database a command uses. */
export function tellDatabase(name: string): void {
  process.stderr.write(`Database: ${name}\n`);
}

/** Where the demonstration keeps its data, apart from those of a real service. */
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
