import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { codeOf } from "./failure.ts";
import { superuser } from "./initialise.ts";
import { findPostmaster, type Postmaster } from "./pid-file.ts";
import type { ServerPlan } from "./plan.ts";

declare module "pg" {
  // The driver has them; its type declarations do not.
  interface Client {
    ref(): void;
    unref(): void;
  }
}

/** Stands before the pid of the client's process in `application_name`. */
export const clientNamePrefix = "fanmail ";

const connectTimeoutMs = 5_000;
const patienceMs = 60_000;
const pollMs = 50;

/** The server ended before we could use it. */
export class ServerGoneError extends Error {
  override name = "ServerGoneError";
}

/**
 * Connects to a server as soon as it takes connections; while it lives and recovers from a crash, that may be long.
 * @throws ServerGoneError when it ends before.
 */
export async function connectWhenReady({ place, signal }: ServerPlan, server: Postmaster): Promise<Client> {
  const password = await readFile(place.passwordFile, "utf8");
  let deadline = Date.now() + patienceMs;
  for (;;) {
    signal.throwIfAborted();
    const now = await findPostmaster(place.pgdata);
    if (now?.pid !== server.pid) throw new ServerGoneError(`PostgreSQL ended; see ${place.logFile}`);
    try {
      if (now.isReady) return await connectTo(now.port, password);
      deadline = Date.now() + patienceMs;
    } catch (error) {
      if (isHopeless(error) || Date.now() > deadline) {
        throw new Error(`Cannot connect to the embedded PostgreSQL in ${place.home}; see ${place.logFile}`, {
          cause: error,
        });
      }
    }
    await sleep(pollMs);
  }
}

/** True when the server closed the connection or did not take it. */
export function isConnectionLoss(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) return code.startsWith("57P") || code === "ECONNRESET" || code === "ECONNREFUSED";
  return error instanceof Error && /Connection terminated|not queryable/.test(error.message);
}

/** Makes the service's database unless it is there. */
export async function ensureDatabase(client: Client): Promise<void> {
  const { rowCount } = await client.query("select 1 from pg_database where datname = 'fanmail'");
  if (rowCount !== 0) return;
  try {
    await client.query("create database fanmail");
  } catch (error) {
    // 42P04 and 23505: another process was first.
    if (codeOf(error) !== "42P04" && codeOf(error) !== "23505") throw error;
  }
}

async function connectTo(port: number, password: string): Promise<Client> {
  const client = new Client({
    host: "127.0.0.1",
    port,
    user: superuser,
    password,
    database: "postgres",
    // Whatever is left out the driver takes from the environment, which means another server.
    ssl: false,
    sslnegotiation: "postgres",
    options: "-c default_transaction_read_only=off",
    application_name: `${clientNamePrefix}${process.pid}`,
    connectionTimeoutMillis: connectTimeoutMs,
  });
  // Whoever uses the client learns of a loss from "end" or from its query.
  client.on("error", () => {});
  await client.connect();
  return client;
}

// Class 28: the password is wrong, and stays so.
function isHopeless(error: unknown): boolean {
  return codeOf(error)?.startsWith("28") === true;
}
