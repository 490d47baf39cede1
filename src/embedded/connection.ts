import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import type { ServerPlan } from "./directory.ts";
import { codeOf, ServerGoneError } from "./failure.ts";
import { superuser } from "./initialise.ts";
import { findPostmaster, type Postmaster } from "./postmaster.ts";

declare module "pg" {
  // The driver has these methods; its type declarations do not.
  interface Client {
    ref(): void;
    unref(): void;
  }
}

/** Precedes the pid of the client's process in `application_name`. */
export const clientNamePrefix = "fanmail ";

const connectTimeoutMs = 5_000;
const patienceMs = 60_000;
const pollMs = 50;

/**
 * Connects to a server as soon as it accepts connections. While it recovers from a crash, that may take long.
 * @throws ServerGoneError when the server ends first.
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

/** True when the server closed or refused the connection. */
export function isConnectionLoss(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) return code.startsWith("57P") || code === "ECONNRESET" || code === "ECONNREFUSED";
  return error instanceof Error && /Connection terminated|not queryable/.test(error.message);
}

/** Creates the service's database unless it exists. */
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
    // The driver takes what is left out from the environment, which means another server.
    ssl: false,
    sslnegotiation: "postgres",
    options: "-c default_transaction_read_only=off",
    application_name: `${clientNamePrefix}${process.pid}`,
    connectionTimeoutMillis: connectTimeoutMs,
  });
  // Users of the client learn about a lost connection from "end" or from their query.
  client.on("error", () => {});
  await client.connect();
  return client;
}

// Class 28: the password is wrong, so another try would fail too.
function isHopeless(error: unknown): boolean {
  return codeOf(error)?.startsWith("28") === true;
}
