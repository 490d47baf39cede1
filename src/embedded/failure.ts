/** PostgreSQL ended while it started. */
export class ServerStartError extends Error {
  override name = "ServerStartError";
}

/** The port is in use by another program. */
export class PortTakenError extends ServerStartError {}

/** Processes of another server still use the data directory. */
export class DirectoryTakenError extends ServerStartError {}

/** The server ended before we could use it. */
export class ServerGoneError extends Error {
  override name = "ServerGoneError";
}

/** Another live process runs the server of this directory. */
export class DataDirInUseError extends Error {
  override name = "DataDirInUseError";
}

/** Recognises why PostgreSQL ended from the last lines it wrote. */
export function startError(
  { home, logFile }: { home: string; logFile: string },
  port: number,
  tail: string,
): ServerStartError {
  const ending = `PostgreSQL wrote to ${logFile}:\n${tail}`;
  if (/could not bind|Address already in use/.test(tail)) {
    return new PortTakenError(`Port ${port} is taken by another program; choose another port. ${ending}`);
  }
  if (/lock file "postmaster.pid" (already exists|is empty)|shared memory block .* still in use/.test(tail)) {
    return new DirectoryTakenError(`Another PostgreSQL still uses ${home}; end it first. ${ending}`);
  }
  if (/incompatible with server/.test(tail)) {
    const remedy = "dump it with that version, or choose a new data directory";
    return new ServerStartError(`${home} is of another version of PostgreSQL; ${remedy}. ${ending}`);
  }
  const remedy = "remove the cause, or set DATABASE_URL to a PostgreSQL server of your own";
  return new ServerStartError(`The embedded PostgreSQL in ${home} did not start; ${remedy}. ${ending}`);
}

/** The `code` of a system error or the SQLSTATE of a database error. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** The message of an error, in one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().replaceAll(/\s*\n\s*/g, " | ");
}
