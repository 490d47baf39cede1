import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { open, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { isAlive, type Place, type ServerPlan } from "./directory.ts";
import { codeOf, startError } from "./failure.ts";
import { serverEnvironment } from "./initialise.ts";

const fastShutdownMs = 10_000;
const immediateShutdownMs = 10_000;
const pollMs = 50;

/**
 * Starts PostgreSQL and waits until it is ready, however long recovery takes.
 * @throws ServerStartError when it ends before it is ready.
 */
export async function spawnPostmaster(plan: ServerPlan, bin: string, port: number): Promise<Postmaster> {
  const { place, settings } = plan;
  await disarmPidFile(place.pgdata);
  const log = openServerLog(place.logFile);
  const child = spawn(path.join(bin, "postgres"), serverArguments(place, port, settings), {
    ...place.user,
    cwd: place.home,
    env: serverEnvironment(),
    // Its own process group: Ctrl-C in the terminal reaches this process, which then stops the server in order.
    detached: true,
    windowsHide: true,
    stdio: ["ignore", log.fd, log.fd],
  });
  closeSync(log.fd);
  await once(child, "spawn");
  child.unref();
  plan.onSpawn?.();
  const ready = await readiness(child, plan);
  if (ready !== null) return ready;
  throw startError(place, port, logTail(place.logFile, log.offset));
}

/**
 * Shuts the server down, rolling back open transactions, and waits until it has ended.
 * @throws when it is still running after 20 s.
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

const unreadableMs = 2_000;

/** The live postmaster of a data directory. */
export type Postmaster = { pid: number; port: number; isReady: boolean };

/**
 * Reads `postmaster.pid` and checks that its process is the server of this directory: the file outlives a crash,
 * its pid may belong to another program by then, and a copied data directory contains the original's file.
 */
export async function findPostmaster(pgdata: string): Promise<Postmaster | null> {
  const [pid, directory, , port, , , , status] = (await readPidFile(pgdata)).split("\n");
  const found = { pid: Number(pid), port: Number(port), isReady: status?.trim() === "ready" };
  if (!(found.pid > 0 && found.port > 0) || directory !== withSlashes(pgdata)) return null;
  return (await isPostmaster(found.pid, pgdata)) ? found : null;
}

/**
 * Makes PostgreSQL ignore a pid file that {@link findPostmaster} rejected. PostgreSQL checks only whether the pid is
 * alive, but takes its parent's pid for a leftover. The other lines stay: PostgreSQL uses them to find orphaned
 * backends that still use the files.
 */
async function disarmPidFile(pgdata: string): Promise<void> {
  const content = await readPidFile(pgdata);
  const pid = Number.parseInt(content, 10);
  const pidFile = path.join(pgdata, "postmaster.pid");
  if (!(pid > 0)) return await removeUnreadable(pidFile);
  if (!isAlive(pid)) return;
  const file = await open(pidFile, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
  try {
    await file.truncate();
    await file.write(content.replace(/^\d+/, String(process.pid)), 0);
  } finally {
    await file.close();
  }
}

// A power failure can leave it empty; so does a starting server, for a moment.
async function removeUnreadable(pidFile: string): Promise<void> {
  const writtenMs = statSync(pidFile, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
  if (Date.now() - writtenMs > unreadableMs) await rm(pidFile, { force: true });
}

async function readPidFile(pgdata: string): Promise<string> {
  try {
    return await readFile(path.join(pgdata, "postmaster.pid"), "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "";
    throw error;
  }
}

/** True when the process is alive and is the server of this directory. */
async function isPostmaster(pid: number, pgdata: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  try {
    return withSlashes(await commandOf(pid)).includes(`-D ${withSlashes(pgdata)} `);
  } catch {
    // The process has ended, or belongs to another user and is hidden; our own server would be visible.
    return false;
  }
}

// A zombie's command line is empty, which is right: its server has ended.
async function commandOf(pid: number): Promise<string> {
  if (process.platform === "linux")
    return (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ");
  if (process.platform !== "win32") return await outputOf("ps", "-ww", "-o", "command=", "-p", String(pid));
  const query = `(Get-CimInstance Win32_Process -Filter 'ProcessId=${pid}').CommandLine`;
  return (await outputOf("powershell", "-NoProfile", "-Command", query)).replaceAll('"', "");
}

async function outputOf(file: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(file, args)).stdout;
}

// PostgreSQL writes Windows paths with slashes.
function withSlashes(text: string): string {
  return process.platform === "win32" ? text.replaceAll("\\", "/") : text;
}

const maxLogBytes = 5_000_000;
const tailLines = 12;

/** An open server log, and its length when it was opened. */
type ServerLog = { fd: number; offset: number };

/** Opens the log for a server that starts; a large one is renamed to `.old` first. */
function openServerLog(file: string): ServerLog {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > maxLogBytes) renameSync(file, `${file}.old`);
  const flags = constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0);
  return { fd: openSync(file, flags, 0o600), offset: size > maxLogBytes ? 0 : size };
}

/** The last lines written since `offset`. */
function logTail(file: string, offset: number): string {
  const text = readFileSync(file).subarray(offset).toString("utf8");
  return text.trimEnd().split("\n").slice(-tailLines).join("\n");
}
