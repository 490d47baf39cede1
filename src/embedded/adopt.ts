import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";
import { findPackage, prepareBinaries } from "./binaries.ts";
import { clientNamePrefix, connectWhenReady, ensureDatabase, isConnectionLoss } from "./connection.ts";
import type { Place, ServerPlan } from "./directory.ts";
import { DataDirInUseError, DirectoryTakenError, PortTakenError, ServerGoneError } from "./failure.ts";
import { initialise } from "./initialise.ts";
import { findPostmaster, type Postmaster, spawnPostmaster, stopPostmaster } from "./postmaster.ts";

const patienceMs = 60_000;
const pollMs = 50;
/** Any constant would do; nothing else takes advisory locks in the database `postgres`. */
const ownerLock = 72_616_913;
const lockPatienceMs = 1_500;

/** A server that is ours while `client` is connected. */
export type OwnedServer = { pid: number; port: number; client: Client; bin: string };

/**
 * Makes this process the owner of a running server, whatever state the directory is in.
 * @param port the port to serve on; undefined takes that of a running server, else a free one.
 * @throws DataDirInUseError when another live process owns it.
 */
export async function acquire(plan: ServerPlan, port: number | undefined): Promise<OwnedServer> {
  const bin = await prepareBinaries(findPackage(), plan.place.user);
  await initialise(plan.place, bin);
  const deadline = Date.now() + patienceMs;
  for (;;) {
    plan.signal.throwIfAborted();
    try {
      return await attempt(plan, port, bin);
    } catch (error) {
      if (!isPassing(error, port) || Date.now() > deadline) throw error;
    }
    await sleep(pollMs);
  }
}

async function attempt(plan: ServerPlan, port: number | undefined, bin: string): Promise<OwnedServer> {
  const { place } = plan;
  const running = await findPostmaster(place.pgdata);
  if (running !== null) return adopt(plan, running, port, bin);
  await nameOwner(place);
  const server = await spawnPostmaster(plan, bin, port ?? (await freePort()));
  try {
    return await own(plan, server, bin);
  } catch (error) {
    // No other process would stop it, unless one has become its owner.
    if (!(error instanceof DataDirInUseError)) await stopPostmaster(place, server.pid, bin);
    throw error;
  }
}

async function adopt(
  plan: ServerPlan,
  running: Postmaster,
  port: number | undefined,
  bin: string,
): Promise<OwnedServer> {
  const owned = await own(plan, running, bin);
  // The guardian of its former owner may have begun to stop it just before: it accepts no new connections any more.
  const isStopping = (await findPostmaster(plan.place.pgdata))?.isReady !== true;
  if (isStopping || (port !== undefined && running.port !== port)) {
    await stopPostmaster(plan.place, running.pid, bin);
    await owned.client.end();
    throw new ServerGoneError(`stopped the server on port ${running.port}`);
  }
  plan.log(`Adopted the PostgreSQL (process ${running.pid}) that was already running`);
  return owned;
}

async function own(plan: ServerPlan, server: Postmaster, bin: string): Promise<OwnedServer> {
  const client = await connectWhenReady(plan, server);
  try {
    await takeOwnership(client, plan.place);
    await nameOwner(plan.place);
    await ensureDatabase(client);
  } catch (error) {
    await client.end();
    throw error;
  }
  // The server alone must not keep this process running.
  client.unref();
  return { pid: server.pid, port: server.port, client, bin };
}

/**
 * Takes the lock that makes this connection's process the owner while the connection is open.
 * @throws DataDirInUseError when another process holds it.
 */
async function takeOwnership(client: Client, place: Place): Promise<void> {
  const deadline = Date.now() + lockPatienceMs;
  while (!(await tryLock(client))) {
    // The server may need a moment to notice that the previous owner was killed.
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

// Temporary errors: a port that was free a moment ago, a server that another process is starting or stopping.
function isPassing(error: unknown, port: number | undefined): boolean {
  if (error instanceof ServerGoneError) return true;
  if (error instanceof PortTakenError) return port === undefined;
  return error instanceof DirectoryTakenError || isConnectionLoss(error);
}

/** Makes the guardians of earlier owners leave the server alone, and ours look after it. */
async function nameOwner({ ownerFile }: Place): Promise<void> {
  await writeFile(ownerFile, String(process.pid), { mode: 0o600 });
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return address.port;
}
