import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";
import { clientNamePrefix } from "./connection.ts";
import type { Place } from "./place.ts";

/** Any constant would do; nothing else takes advisory locks in the database `postgres`. */
const ownerLock = 72_616_913;
const lockPatienceMs = 1_500;

/** Another process that lives runs the server of this directory. */
export class DataDirInUseError extends Error {
  override name = "DataDirInUseError";
}

/**
 * Takes the lock that makes this connection's process the owner for as long as the connection lives.
 * @throws DataDirInUseError when another process keeps it.
 */
export async function takeOwnership(client: Client, place: Place): Promise<void> {
  const deadline = Date.now() + lockPatienceMs;
  while (!(await tryLock(client))) {
    // The server may need a moment to notice that the former owner was killed.
    if (Date.now() > deadline) throw new DataDirInUseError(inUseMessage(place, await ownerOf(client)));
    await sleep(100);
  }
}

async function tryLock(client: Client): Promise<boolean> {
  const result = await client.query<{ locked: boolean }>(
    "select pg_try_advisory_lock($1::bigint) as locked",
    [ownerLock],
  );
  return result.rows[0]?.locked === true;
}

async function ownerOf(client: Client): Promise<string | null> {
  const result = await client.query<{ name: string }>(
    `select a.application_name as name
       from pg_locks l join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.granted and l.objid = $1::bigint::oid`,
    [ownerLock],
  );
  return result.rows[0]?.name.replace(clientNamePrefix, "") ?? null;
}

function inUseMessage(place: Place, pid: string | null): string {
  const owner = pid === null ? "another process" : `process ${pid}`;
  return `The data directory ${place.dataDir} is in use by ${owner}: stop that one, or choose another data directory with DATA_DIR`;
}
