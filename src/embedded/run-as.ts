import { readFileSync, statSync } from "node:fs";
import path from "node:path";

/** The user the server runs as, when that is not the user of this process. */
export type RunAs = { uid: number; gid: number };

/**
 * Tells which user the server of this data directory must run as; PostgreSQL refuses to run as root.
 * @returns null when that is the user of this process: everywhere except for root.
 */
export function serverUser(pgdata: string): RunAs | null {
  if (process.getuid?.() !== 0) return null;
  const owner = statSync(pgdata, { throwIfNoEntry: false });
  return owner !== undefined && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : nobody();
}

/** True when the modes of `directory` and of everything above it let that user in. */
export function canEnter(directory: string, user: RunAs): boolean {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) return false;
  const needed = stat.uid === user.uid ? 0o100 : stat.gid === user.gid ? 0o010 : 0o001;
  const parent = path.dirname(directory);
  return (stat.mode & needed) !== 0 && (parent === directory || canEnter(parent, user));
}

function nobody(): RunAs {
  const line = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"));
  return { uid: Number(line?.[1] ?? 65534), gid: Number(line?.[2] ?? 65534) };
}
