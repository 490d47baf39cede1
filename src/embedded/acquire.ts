import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";
import { findPackage, prepareBinaries } from "./binaries.ts";
import { connectWhenReady, ensureDatabase, isConnectionLoss, ServerGoneError } from "./connection.ts";
import { nameOwner } from "./guardian.ts";
import { initialise } from "./initialise.ts";
import { DataDirInUseError, takeOwnership } from "./ownership.ts";
import { findPostmaster, type Postmaster } from "./pid-file.ts";
import type { ServerPlan } from "./plan.ts";
import { spawnPostmaster, stopPostmaster } from "./postmaster.ts";
import { DirectoryTakenError, PortTakenError } from "./start-error.ts";

const patienceMs = 60_000;
const pollMs = 50;

/** A server that is ours while `client` is connected. */
export type OwnedServer = { pid: number; port: number; client: Client; bin: string };

/**
 * Makes this process the owner of a running server, whichever state the directory is in.
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
    // Nobody else would stop it, unless another process has become its owner.
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
  if (port !== undefined && running.port !== port) {
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
  // A server alone is no reason for this process to live.
  client.unref();
  return { pid: server.pid, port: server.port, client, bin };
}

// What passes by itself: a port that was free a moment ago, a server that another process just starts or stops.
function isPassing(error: unknown, port: number | undefined): boolean {
  if (error instanceof ServerGoneError) return true;
  if (error instanceof PortTakenError) return port === undefined;
  return error instanceof DirectoryTakenError || isConnectionLoss(error);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return address.port;
}
