import { execFile } from "node:child_process";
import { constants, statSync } from "node:fs";
import { open, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { isAlive } from "./draft.ts";
import { codeOf } from "./failure.ts";

const unreadableMs = 2_000;

/** A postmaster that is alive and serves the data directory that was asked about. */
export type Postmaster = { pid: number; port: number; isReady: boolean };

/**
 * Reads `postmaster.pid` and checks that its process is the server of this very directory: the file outlives a
 * crash, its pid may belong to anyone by then, and a copied data directory carries the file of the original.
 */
export async function findPostmaster(pgdata: string): Promise<Postmaster | null> {
  const [pid, directory, , port, , , , status] = (await readPidFile(pgdata)).split("\n");
  const found = { pid: Number(pid), port: Number(port), isReady: status?.trim() === "ready" };
  if (!(found.pid > 0 && found.port > 0) || directory !== withSlashes(pgdata)) return null;
  return (await isPostmaster(found.pid, pgdata)) ? found : null;
}

/**
 * Makes PostgreSQL overlook a pid file that {@link findPostmaster} disowned. PostgreSQL asks only whether that pid
 * is alive, but it takes the pid of its parent for a leftover. The other lines stay, for they let it find
 * orphaned backends that still use the files.
 */
export async function disarmPidFile(pgdata: string): Promise<void> {
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

// A power failure can leave it empty; a server that starts leaves it so for a moment.
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

/** True when that process is alive and is the server of this directory. */
export async function isPostmaster(pid: number, pgdata: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  try {
    return withSlashes(await commandOf(pid)).includes(`-D ${withSlashes(pgdata)} `);
  } catch {
    // The process is gone, or another user's and hidden; a server of ours would be visible.
    return false;
  }
}

// A zombie has an empty command line, which is right: its server is gone.
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

// PostgreSQL writes the paths of Windows with slashes.
function withSlashes(text: string): string {
  return process.platform === "win32" ? text.replaceAll("\\", "/") : text;
}
