import { setTimeout as sleep } from "node:timers/promises";
import { acquire, type OwnedServer } from "./acquire.ts";
import { messageOf } from "./failure.ts";
import type { Guardian } from "./guardian.ts";
import type { ServerPlan } from "./plan.ts";
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
    // The lock goes with the connection, so the server goes first: nobody shall adopt what is about to stop.
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
