import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { codeOf } from "./failure.ts";

/** A new name beside `target`, to be filled and then renamed to it; it tells which process works on it. */
export function draftOf(target: string): string {
  return `${target}.draft-${process.pid}-${randomBytes(4).toString("hex")}`;
}

/** Removes the drafts of processes that were killed before they could rename theirs. */
export async function removeAbandonedDrafts(target: string): Promise<void> {
  const prefix = `${path.basename(target)}.draft-`;
  for (const name of await readdir(path.dirname(target))) {
    const draft = path.join(path.dirname(target), name);
    if (!name.startsWith(prefix) || isInWork(draft, Number.parseInt(name.slice(prefix.length), 10))) continue;
    // A child of the killed process may still write into it for a second.
    await rm(draft, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

// In a container that was restarted, the killed process often had the very pid that we have now.
function isInWork(draft: string, pid: number): boolean {
  if (pid !== process.pid) return isAlive(pid);
  const madeMs = statSync(draft, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return madeMs >= performance.timeOrigin;
}

/** True when a process has this pid, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
