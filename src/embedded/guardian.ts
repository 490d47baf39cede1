import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { Place } from "./place.ts";

/** Stops the server when this process is gone and could not do it: killed, or out of time. */
export type Guardian = {
  /** The server has been stopped, or is another process's. */
  dismiss(): void;
};

/** A service that is started again soon takes the server over as it is. */
const graceSeconds = 10;
/** For commands that still use the server; nobody new is let in meanwhile. */
const patienceSeconds = 600;

/**
 * Waits for a line, or for the end of the pipe, which comes when the process at its other end is gone. SIGTERM lets
 * PostgreSQL's clients finish, SIGINT does not. $1 is the file with the owner, $2 our pid, $3 PostgreSQL's pid file.
 */
const script = `
read -r line && exit 0
sleep ${graceSeconds}
[ "$(cat "$1")" = "$2" ] || exit 0
pid=$(head -n 1 "$3") && kill -TERM "$pid" || exit 0
sleep ${patienceSeconds}
[ "$(cat "$1")" = "$2" ] && [ "$(head -n 1 "$3")" = "$pid" ] && kill -INT "$pid"
`;

/** Starts a shell that outlives this process. Windows has none; there the server goes on, and the next start adopts it. */
export function startGuardian(place: Place): Guardian {
  if (process.platform === "win32") return { dismiss() {} };
  const pidFile = path.join(place.pgdata, "postmaster.pid");
  const child = spawn("sh", ["-c", script, "sh", ownerFile(place), String(process.pid), pidFile], {
    // Its own session: what ends us, in a terminal, must not end it.
    detached: true,
    cwd: path.parse(place.home).root,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // Without a shell, or when somebody ended it, there is no guardian; the service does not need one.
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  child.unref();
  // A pipe of a child is a socket; its type does not say so.
  if ("unref" in child.stdin && typeof child.stdin.unref === "function") child.stdin.unref();
  return { dismiss: () => void child.stdin.end("dismissed\n") };
}

/** Makes the guardians of earlier owners leave the server alone, and ours look after it. */
export async function nameOwner(place: Place): Promise<void> {
  await writeFile(ownerFile(place), String(process.pid), { mode: 0o600 });
}

function ownerFile({ home }: Place): string {
  return path.join(home, "owner");
}
