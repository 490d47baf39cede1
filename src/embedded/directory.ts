import { createHash, randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { chmod, lstat, mkdir, readdir, realpath, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { codeOf, messageOf } from "./failure.ts";

/** The files of one embedded server, and the user it runs as. */
export type Place = {
  dataDir: string;
  /** Holds the files below; appears as a whole, by a rename. */
  home: string;
  pgdata: string;
  passwordFile: string;
  logFile: string;
  /** Holds the pid of the process that owns the server. */
  ownerFile: string;
  user: RunAs | null;
};

/** The user the server runs as, when that is not the user of this process. */
export type RunAs = { uid: number; gid: number };

/** What is needed to run the server of one place. */
export type ServerPlan = {
  place: Place;
  settings: Readonly<Record<string, string>>;
  log: (line: string) => void;
  onSpawn?: (() => void) | undefined;
  /** Ends the attempts to get the server up. */
  signal: AbortSignal;
};

/**
 * Decides where the database of `dataDir` lives: in `<dataDir>/postgres`, or, when this process is root and the
 * server's user cannot enter it, in a directory whose name is derived from that path. An existing database stays where it is.
 */
export async function locate(dataDir: string, log: (line: string) => void): Promise<Place> {
  const real = await makeDataDir(dataDir);
  const near = nearPlace(real);
  if (near.user === null) return near;
  if (hasDatabase(near)) return refuseUnreachable(near, near.user);
  const far = farPlaces(real);
  const known = far.find(hasDatabase);
  if (known === undefined && canEnter(real, near.user)) return near;
  const chosen = known ?? (await firstUsable(far));
  const loss = chosen.home.startsWith("/var/lib/") ? "" : ", which may not outlive a reboot";
  log(
    `PostgreSQL cannot run as root and its user cannot enter ${real}: the database is in ${chosen.home}${loss}`,
  );
  return chosen;
}

/** True when {@link locate} would find a database; makes nothing, not even the directory. */
export async function isDatabaseIn(dataDir: string): Promise<boolean> {
  const real = await realpath(dataDir).catch(() => null);
  if (real === null) return false;
  const near = nearPlace(real);
  return hasDatabase(near) || (near.user !== null && farPlaces(real).some(hasDatabase));
}

/** True when an initialisation of this place has completed. */
export function hasDatabase(place: Place): boolean {
  try {
    return statSync(path.join(place.pgdata, "PG_VERSION"), { throwIfNoEntry: false }) !== undefined;
  } catch (cause) {
    const remedy = "start as the user who owns it, or choose another data directory";
    throw new Error(`Cannot read the database in ${place.home}: ${remedy}`, { cause });
  }
}

/** The files of a server in `home`. */
export function placeAt(dataDir: string, home: string): Place {
  const pgdata = path.join(home, "data");
  return {
    dataDir,
    home,
    pgdata,
    passwordFile: path.join(home, "password"),
    logFile: path.join(home, "postgres.log"),
    ownerFile: path.join(home, "owner"),
    user: serverUser(pgdata),
  };
}

function nearPlace(dataDir: string): Place {
  return placeAt(dataDir, path.join(dataDir, "postgres"));
}

/** The candidates when this process is root and the server's user cannot enter the data directory. */
function farPlaces(dataDir: string): Place[] {
  const bases = ["/var/lib", ...temporaryBases()];
  return bases.map((base) => placeAt(dataDir, path.join(base, "fanmail", homeName(dataDir))));
}

async function makeDataDir(dataDir: string): Promise<string> {
  try {
    await mkdir(dataDir, { recursive: true });
    return await realpath(dataDir);
  } catch (cause) {
    throw new Error(`Cannot make the data directory ${dataDir} (${messageOf(cause)}); choose another one`, {
      cause,
    });
  }
}

function homeName(dataDir: string): string {
  return createHash("sha256").update(dataDir).digest("hex").slice(0, 16);
}

function refuseUnreachable(place: Place, user: RunAs): Place {
  if (canEnter(place.home, user)) return place;
  throw new Error(
    `The database in ${place.home} belongs to user id ${user.uid}, who may not enter that directory: allow it (chmod o+x on every directory above it)`,
  );
}

async function firstUsable(places: readonly Place[]): Promise<Place> {
  const problems: string[] = [];
  for (const place of places) {
    try {
      const parent = await privateDirectory(path.dirname(place.home));
      if (place.user === null || canEnter(parent, place.user)) return place;
      problems.push(`${parent} cannot be entered`);
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  throw new Error(
    `Found no directory for the database that PostgreSQL's user can enter: ${problems.join("; ")}`,
  );
}

/**
 * Returns the user that the server of this data directory must run as; PostgreSQL refuses to run as root.
 * @returns null when that is the user of this process: everywhere except for root.
 */
function serverUser(pgdata: string): RunAs | null {
  if (process.getuid?.() !== 0) return null;
  const owner = statSync(pgdata, { throwIfNoEntry: false });
  return owner !== undefined && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : nobody();
}

/** True when the modes of `directory` and of everything above it let that user in. */
function canEnter(directory: string, user: RunAs): boolean {
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

/** Temporary directories, best first; TMPDIR may point to one that the server's user cannot enter. */
export function temporaryBases(): string[] {
  return process.platform === "win32" ? [os.tmpdir()] : [...new Set([os.tmpdir(), "/tmp", "/var/tmp"])];
}

/**
 * Makes a directory that others may enter but only we may change, or checks that an existing one is like that.
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

/** A new name beside `target`, to be filled and then renamed to it; it contains the pid of the process that fills it. */
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

// In a restarted container the killed process often had the same pid as this one.
function isInWork(draft: string, pid: number): boolean {
  if (pid !== process.pid) return isAlive(pid);
  const madeMs = statSync(draft, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return madeMs >= performance.timeOrigin;
}

/** True when a process has this pid, whichever user owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
