import { openStore, type StoreContext } from "../context.ts";
import { findProject, type Project } from "../storage/projects.ts";
import { environmentConfig, UsageError } from "./command.ts";

/** Opens the database for the time of a command, also beside a service that runs. */
export async function withStore<Result>(work: (store: StoreContext) => Promise<Result>): Promise<Result> {
  const config = environmentConfig();
  // What the embedded database tells while starting is not what was asked for.
  const quiet = config.logLevel === "info" ? { ...config, logLevel: "warn" as const } : config;
  const store = await openStore(quiet, { attach: true });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** @throws UsageError when there is no such project. */
export async function projectNamed(store: StoreContext, nameOrId: string): Promise<Project> {
  const project = await findProject(store.db, nameOrId);
  if (project) return project;
  throw new UsageError(`There is no project "${nameOrId}"; list them with: fanmail projects list`);
}
