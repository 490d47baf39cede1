import { spawn } from "node:child_process";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { acquire, type OwnedServer } from "./adopt.ts";
import type { Place, ServerPlan } from "./directory.ts";
import { messageOf } from "./failure.ts";
import { stopPostmaster } from "./postmaster.ts";

const firstDelayMs = 100;
const maxDelayMs = 10_000;

/**
 * Keeps the server up, on the same port, until the returned function is called, which stops it.
 * @param abort ends `plan.signal`.
 * @param guardian dismissed once the server is stopped.
 */
export function supervise(
  plan: ServerPlan,
  first: OwnedServer,
  abort: AbortController,
  guardian: Guardian,
): () => Promise<void> {
  let owned: OwnedServer | null = first;
  let healing: Promise<void> = Promise.resolve();

  const watch = (server: OwnedServer) => {
    server.client.once("end", () => {
      if (abort.signal.aborted) return;
      owned = null;
      healing = heal(plan, server.port).then(take, ignoreAbort);
    });
  };
  const take = (server: OwnedServer) => {
    owned = server;
    watch(server);
  };
  watch(first);

  return async () => {
    abort.abort();
    await healing;
    if (owned === null) return guardian.dismiss();
    owned.client.ref();
    // The lock ends with the connection, so the server stops first: no process must adopt one that is about to stop.
    await stopPostmaster(plan.place, owned.pid, owned.bin);
    guardian.dismiss();
    await owned.client.end();
  };
}

async function heal(plan: ServerPlan, port: number): Promise<OwnedServer> {
  plan.log(`The embedded PostgreSQL went away; bringing it back on port ${port}`);
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, maxDelayMs)) {
    await sleep(delayMs, undefined, { signal: plan.signal });
    try {
      const server = await acquire(plan, port);
      plan.log(`The embedded PostgreSQL is back on port ${port}`);
      return server;
    } catch (error) {
      plan.signal.throwIfAborted();
      plan.log(`The embedded PostgreSQL is not back yet: ${messageOf(error)}`);
    }
  }
}

// heal() ends with an error only when stop() aborts it.
function ignoreAbort(): void {}

/** Stops the server after this process has ended without doing so: killed, or out of time. */
export type Guardian = {
  /** Call it when the server has been stopped, or belongs to another process. */
  dismiss(): void;
};

/** A service that is restarted within this time takes over the running server. */
const graceSeconds = 10;
/** For commands that still use the server; it accepts no new connections meanwhile. */
const patienceSeconds = 600;

/**
 * Waits for a line, or for the end of the pipe, which comes when the process at its other end has ended. SIGTERM lets
 * PostgreSQL's clients finish, SIGINT does not. $1 is the owner file, $2 our pid, $3 PostgreSQL's pid file.
 */
const script = `
read -r line && exit 0
sleep ${graceSeconds}
[ "$(cat "$1")" = "$2" ] || exit 0
pid=$(head -n 1 "$3") && kill -TERM "$pid" || exit 0
sleep ${patienceSeconds}
[ "$(cat "$1")" = "$2" ] && [ "$(head -n 1 "$3")" = "$pid" ] && kill -INT "$pid"
`;

/** Starts a shell that outlives this process. Windows has none: there the server keeps running, and the next start adopts it. */
export function startGuardian(place: Place): Guardian {
  if (process.platform === "win32") return { dismiss() {} };
  const pidFile = path.join(place.pgdata, "postmaster.pid");
  const child = spawn("sh", ["-c", script, "sh", place.ownerFile, String(process.pid), pidFile], {
    // Its own session: a signal from the terminal that ends this process must not end it.
    detached: true,
    cwd: path.parse(place.home).root,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // Without a shell, or when it was killed, there is no guardian; the service works without one.
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  child.unref();
  // A child's pipe is a socket; its type does not say so.
  if ("unref" in child.stdin && typeof child.stdin.unref === "function") child.stdin.unref();
  return { dismiss: () => void child.stdin.end("dismissed\n") };
}
