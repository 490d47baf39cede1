import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { access, chown, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Place } from "../../src/embedded/directory.ts";
import { superuser } from "../../src/embedded/initialise.ts";

const run = promisify(execFile);
const needed = ["initdb", "postgres", "pg_dump", "pg_restore"];
const packaged = "/usr/lib/postgresql";

/**
 * Finds an installed PostgreSQL with server and `pg_dump`, which the embedded one does not bring.
 * @returns the directory of its programs; null: there is none.
 */
export async function findInstalledPostgres(): Promise<string | null> {
  const versions = await readdir(packaged).catch(() => []);
  const newestFirst = versions.toSorted((one, other) => Number(other) - Number(one));
  const directories = [await configured(), ...newestFirst.map((version) => join(packaged, version, "bin"))];
  for (const directory of directories)
    if (directory !== null && (await hasPrograms(directory))) return directory;
  return null;
}

async function configured(): Promise<string | null> {
  try {
    return (await run("pg_config", ["--bindir"])).stdout.trim();
  } catch {
    // Not installed.
    return null;
  }
}

async function hasPrograms(directory: string): Promise<boolean> {
  const found = await Promise.allSettled(needed.map((name) => access(join(directory, name))));
  return found.every(({ status }) => status === "fulfilled");
}

/** As the product does it for its embedded PostgreSQL, with options that older ones have too. */
export async function initialiseInstalled({ home, pgdata, passwordFile, user }: Place, programs: string) {
  await mkdir(home, { mode: 0o755 });
  await mkdir(pgdata, { mode: 0o700 });
  await writeFile(passwordFile, randomBytes(24).toString("hex"), { mode: 0o600 });
  // PostgreSQL does not run as root.
  if (user !== null) for (const path of [pgdata, passwordFile]) await chown(path, user.uid, user.gid);
  const files = ["-D", pgdata, `--pwfile=${passwordFile}`];
  const args = [`--username=${superuser}`, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"];
  await run(join(programs, "initdb"), [...files, ...args], { ...user, cwd: home });
}
