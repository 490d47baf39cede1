import { chmod, cp, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { z } from "zod";
import { draftOf, removeAbandonedDrafts } from "./draft.ts";
import { privateDirectory } from "./private-directory.ts";

const packageJson = z.object({ name: z.string(), version: z.string() });

/** Directories below which a copy may be staged, best first; TMPDIR may point to where the server's user cannot go. */
export function stagingBases(): string[] {
  return process.platform === "win32" ? [os.tmpdir()] : [...new Set([os.tmpdir(), "/tmp", "/var/tmp"])];
}

/** Copies the package into a directory that nobody else can change, unless that holds a whole copy already. */
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

// Cleaners of temporary directories take single files, so the names are compared and not just looked for.
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
    // Another process may have been first with the same copy.
    if (!(await isWhole(packageDir, staged))) throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

// The package may have been installed under a umask that shuts out the server's user.
async function letOthersRead(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const full = path.join(directory, entry.name);
    if (entry.isDirectory()) await letOthersRead(full);
    else if (entry.isFile()) await chmod(full, path.basename(directory) === "bin" ? 0o755 : 0o644);
  }
}
