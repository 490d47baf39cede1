import { readFileSync } from "node:fs";

/**
 * How many files and sockets this process may have open at once (`ulimit -n`). Infinity: as many as it wants.
 * @returns null where that cannot be told: only Linux has the file. Node.js raises its own limit to the hard one at the start.
 */
export function descriptorLimit(): number | null {
  try {
    const [, soft] = /^Max open files +(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
    const limit = Number(soft);
    return Number.isNaN(limit) ? Number.POSITIVE_INFINITY : limit;
  } catch {
    return null;
  }
}
