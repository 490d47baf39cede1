import { chmod, lstat, mkdir, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { codeOf } from "./failure.ts";

/**
 * Makes a directory that others may enter but only we may change, or checks that the existing one is so.
 * @throws when another user owns it, may write to it, or could replace it.
 */
export async function privateDirectory(directory: string): Promise<string> {
  await refuseReplaceable(path.dirname(directory));
  try {
    await mkdir(directory, { mode: 0o711 });
    // The umask may have taken away the right to enter.
    await chmod(directory, 0o711);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    await refuseForeign(directory);
  }
  return realpath(directory);
}

async function refuseForeign(directory: string): Promise<void> {
  if (process.getuid === undefined) return;
  const found = await lstat(directory);
  if (found.isDirectory() && found.uid === process.getuid() && (found.mode & 0o022) === 0) return;
  throw new Error(`${directory} is not ours alone; remove it, or point TMPDIR to another directory`);
}

async function refuseReplaceable(parent: string): Promise<void> {
  if (process.getuid === undefined) return;
  const found = await stat(parent);
  const isSticky = (found.mode & 0o1000) !== 0;
  const isOurs = found.uid === 0 || found.uid === process.getuid();
  if (isOurs && ((found.mode & 0o022) === 0 || isSticky)) return;
  throw new Error(`other users can change ${parent}; point TMPDIR to another directory`);
}
