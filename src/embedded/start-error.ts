import type { Place } from "./place.ts";

/** PostgreSQL ended while it started. */
export class ServerStartError extends Error {
  override name = "ServerStartError";
}

/** The port is in use by another program. */
export class PortTakenError extends ServerStartError {}

/** Processes of another server still use the data directory. */
export class DirectoryTakenError extends ServerStartError {}

/** Tells from what PostgreSQL wrote last why it ended. */
export function startError(place: Place, port: number, tail: string): ServerStartError {
  const ending = `PostgreSQL wrote to ${place.logFile}:\n${tail}`;
  if (/could not bind|Address already in use/.test(tail)) {
    return new PortTakenError(`Port ${port} is taken by another program; choose another port. ${ending}`);
  }
  if (/lock file "postmaster.pid" (already exists|is empty)|shared memory block .* still in use/.test(tail)) {
    return new DirectoryTakenError(`Another PostgreSQL still uses ${place.home}; end it first. ${ending}`);
  }
  if (/incompatible with server/.test(tail)) {
    const remedy = "dump it with that version, or choose a new data directory";
    return new ServerStartError(`${place.home} is of another version of PostgreSQL; ${remedy}. ${ending}`);
  }
  const remedy = "remove the cause, or set DATABASE_URL to a PostgreSQL server of your own";
  return new ServerStartError(`The embedded PostgreSQL in ${place.home} did not start; ${remedy}. ${ending}`);
}
