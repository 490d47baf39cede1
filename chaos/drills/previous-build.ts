import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { packageRoot } from "../../src/package-info.ts";
import { startWatchdog } from "../stage/watchdog.ts";

/** The build of an earlier revision. */
export type PreviousBuild = {
  /** Its hash, date and subject. */
  revision: string;
  directory: string;
  migrations: URL;
  remove(): Promise<void>;
};

const run = promisify(execFile);
const root = fileURLToPath(packageRoot);

/**
 * Builds an earlier revision with the compiler and the dependencies of this one.
 * @param given a git revision; null: the last tag, else the last commit before HEAD that changed the program.
 * @throws if this is not a clone, or the revision cannot be built.
 */
export async function buildRevision(given: string | null): Promise<PreviousBuild> {
  const revision = given ?? (await lastRelease());
  const directory = await mkdtemp(join(tmpdir(), "fanmail-previous-"));
  const watchdog = startWatchdog(directory);
  const remove = async () => {
    watchdog.dismiss();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await run("sh", ["-c", 'git archive "$1" | tar -x -C "$2"', "sh", revision, directory], { cwd: root });
    await symlink(join(root, "node_modules"), join(directory, "node_modules"));
    await run(
      process.execPath,
      [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"],
      {
        cwd: directory,
      },
    );
    const name = await git("log", "-1", "--format=%h of %cs, %s", revision);
    const migrations = pathToFileURL(join(directory, "migrations/"));
    return { revision: name, directory: join(directory, "dist"), migrations, remove };
  } catch (cause) {
    await remove();
    throw new Error(`The revision ${revision} cannot be built`, { cause });
  }
}

async function lastRelease(): Promise<string> {
  const tag = await git("describe", "--tags", "--abbrev=0").catch(() => "");
  if (tag !== "") return tag;
  const [, before = ""] = (await git("log", "-2", "--format=%h", "--", "src", "workers")).split("\n");
  if (before === "") throw new Error("There is no earlier revision; name one with --previous");
  return before;
}

async function git(...args: string[]): Promise<string> {
  const { stdout } = await run("git", args, { cwd: root });
  return stdout.trim();
}
