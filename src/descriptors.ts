import { readFileSync } from "node:fs";

/*
 * How the file descriptors of a process are shared out: half to connections that come in, half of the rest to webhooks.
 */

/** More gains nothing: SNS opens a few hundred at most, and a proxy no more. */
const mostConnections = 4_096;
/** Assumed where the limit is unknown. */
const fewDescriptors = 1_024;

/** How many connections a server may keep open. */
export function connectionLimit(): number {
  return Math.min(mostConnections, Math.floor((descriptorLimit() ?? fewDescriptors) / 2));
}

/** Of a post: its socket, and one to query a name server with. */
const descriptorsOfPost = 2;
/** For the database, the queue, AWS, files and logs. */
const reserved = 100;
const leastPosts = 8;
/** Anywhere but on Linux the hard limit is at least this. */
const elsewhere = 10_240;
const unlimited = 1_000_000;

/** How many webhooks may be in flight at once. @param descriptors that the process may open; null: unknown. */
export function postLimit(descriptors: number | null = descriptorLimit()): number {
  const limit = Math.min(descriptors ?? elsewhere, unlimited);
  return Math.max(leastPosts, Math.floor((limit - reserved) / 2 / descriptorsOfPost));
}

/**
 * How many files and sockets this process may have open at once (`ulimit -n`); Infinity: no limit.
 * @returns null where it is unknown: only Linux has the file. Node.js raises its own limit to the hard one at the start.
 */
function descriptorLimit(): number | null {
  try {
    const [, soft] = /^Max open files +(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
    const limit = Number(soft);
    return Number.isNaN(limit) ? Number.POSITIVE_INFINITY : limit;
  } catch {
    return null;
  }
}
