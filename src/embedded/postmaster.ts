import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { serverEnvironment } from "./initialise.ts";
import { disarmPidFile, findPostmaster, isPostmaster, type Postmaster } from "./pid-file.ts";
import type { Place } from "./place.ts";
import type { ServerPlan } from "./plan.ts";
import { logTail, openServerLog } from "./server-log.ts";
import { startError } from "./start-error.ts";

const fastShutdownMs = 10_000;
const immediateShutdownMs = 10_000;
const pollMs = 50;

/**
 * Starts PostgreSQL and waits until it is ready, however long it recovers.
 * @throws ServerStartError when it ends before.
 */
export async function spawnPostmaster(plan: ServerPlan, bin: string, port: number): Promise<Postmaster> {
  const { place, settings } = plan;
  await disarmPidFile(place.pgdata);
  const log = openServerLog(place.logFile);
  const child = spawn(path.join(bin, "postgres"), serverArguments(place, port, settings), {
    ...place.user,
    cwd: place.home,
    env: serverEnvironment(),
    // Its own process group: Ctrl-C in the terminal is for us, who then stop it in order.
    detached: true,
    windowsHide: true,
    stdio: ["ignore", log.fd, log.fd],
  });
  closeSync(log.fd);
  await once(child, "spawn");
  child.unref();
  const ready = await readiness(child, plan);
  if (ready !== null) return ready;
  throw startError(place, port, logTail(place.logFile, log.offset));
}

/**
 * Shuts the server down, rolling back what runs, and waits until it is gone.
 * @throws when it is still there after 20 s.
 */
export async function stopPostmaster(place: Place, pid: number, bin: string): Promise<void> {
  if (process.platform === "win32") {
    await promisify(execFile)(path.join(bin, "pg_ctl"), ["stop", "-D", place.pgdata, "-m", "fast"]);
    return;
  }
  if (await endedAfter(place, pid, "SIGINT", fastShutdownMs)) return;
  if (await endedAfter(place, pid, "SIGQUIT", immediateShutdownMs)) return;
  throw new Error(`The embedded PostgreSQL (process ${pid}) does not stop; end it by hand (kill -9 ${pid})`);
}

function serverArguments(place: Place, port: number, settings: Readonly<Record<string, string>>): string[] {
  const flags = {
    shared_buffers: "128MB",
    max_connections: "100",
    timezone: "UTC",
    ...settings,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    port: String(port),
  };
  return [
    "-D",
    place.pgdata,
    ...Object.entries(flags).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ];
}

async function readiness(child: ChildProcess, { place, signal }: ServerPlan): Promise<Postmaster | null> {
  while (child.exitCode === null && child.signalCode === null) {
    const found = await findPostmaster(place.pgdata);
    if (found?.pid === child.pid && found?.isReady === true) return found;
    if (signal.aborted) child.kill("SIGINT");
    await sleep(pollMs);
  }
  signal.throwIfAborted();
  return null;
}

async function endedAfter(
  place: Place,
  pid: number,
  signal: NodeJS.Signals,
  waitMs: number,
): Promise<boolean> {
  const deadline = Date.now() + waitMs;
  const isThere = () => isPostmaster(pid, place.pgdata);
  if (await isThere()) process.kill(pid, signal);
  while (await isThere()) {
    if (Date.now() > deadline) return false;
    await sleep(pollMs);
  }
  return true;
}
