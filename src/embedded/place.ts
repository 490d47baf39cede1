import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { mkdir, realpath } from "node:fs/promises";
import path from "node:path";
import { messageOf } from "./failure.ts";
import { privateDirectory } from "./private-directory.ts";
import { canEnter, type RunAs, serverUser } from "./run-as.ts";
import { stagingBases } from "./staging.ts";

/** Where one embedded server keeps its things, and the user it runs as. */
export type Place = {
  dataDir: string;
  /** Holds the three below; renamed into being as a whole. */
  home: string;
  pgdata: string;
  passwordFile: string;
  logFile: string;
  user: RunAs | null;
};

/**
 * Decides where the database of `dataDir` lives: in `<dataDir>/postgres`, or, when this process is root and the
 * server's user cannot go there, in a directory whose name follows from that path. A database that is there stays there.
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

/** True when an initialisation has completed there. */
export function hasDatabase(place: Place): boolean {
  try {
    return statSync(path.join(place.pgdata, "PG_VERSION"), { throwIfNoEntry: false }) !== undefined;
  } catch (cause) {
    const remedy = "start as the user to whom it belongs, or choose another data directory";
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
    user: serverUser(pgdata),
  };
}

function nearPlace(dataDir: string): Place {
  return placeAt(dataDir, path.join(dataDir, "postgres"));
}

/** Where it may be when this process is root and the server's user cannot enter the data directory. */
function farPlaces(dataDir: string): Place[] {
  const bases = ["/var/lib", ...stagingBases()];
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
