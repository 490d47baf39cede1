import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Database } from "../../src/storage/database.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { lockLane } from "../../src/storage/webhooks/lanes.ts";
import { addEndpoint } from "../../src/webhooks/endpoints.ts";
import { createSecretBox, openEndpointSecrets } from "../../src/webhooks/secret-box.ts";
import { type Ended, run } from "../support/command.ts";

export type KnownEndpoint = { id: string; secret: string; headers: Record<string, string> };

/** Adds an endpoint whose secret and header are encrypted with the first key. */
export async function addEncrypted(db: Database, keys: readonly Buffer[]): Promise<KnownEndpoint> {
  const headers = { authorization: `Bearer ${systemClock.newId()}` };
  const context = { db, clock: systemClock, secretBox: createSecretBox(keys) };
  const added = await addEndpoint(context, defaultProjectId, "https://example.com/", { headers });
  return { ...added, headers };
}

/** What the keys open of an endpoint. @throws when they do not open everything. */
export async function opened(db: Database, keys: readonly Buffer[], id: string): Promise<KnownEndpoint> {
  const lane = { projectId: defaultProjectId, endpointId: id };
  const endpoint = await db.transaction((tx) => lockLane(tx, lane));
  if (endpoint === null) throw new Error(`There is no endpoint ${id}`);
  const { secrets, headers } = openEndpointSecrets(createSecretBox(keys), endpoint);
  return { id, secret: secrets.join(), headers };
}

/** All of them, as `addEncrypted` gave them. */
export async function openedAll(
  db: Database,
  keys: readonly Buffer[],
  endpoints: readonly KnownEndpoint[],
): Promise<KnownEndpoint[]> {
  return Promise.all(endpoints.map(({ id }) => opened(db, keys, id)));
}

/** Keeps the secret of an endpoint locked until `release`, as a transaction of the service may. */
export async function holdSecret(db: Database, endpointId: string): Promise<{ release(): Promise<void> }> {
  const hold = new AbortController();
  let isHeld = () => {};
  const held = new Promise<void>((resolve) => {
    isHeld = resolve;
  });
  const holder = db
    .transaction(async (tx) => {
      await tx.query("select from webhook_secrets where endpoint_id = $1 for update", [endpointId]);
      isHeld();
      while (!hold.signal.aborted) await sleep(20);
    })
    .then(null, (error) => error);
  await held;
  return {
    async release() {
      hold.abort();
      await holder;
    },
  };
}

/** Runs `fanmail rotate-encryption-key`, which must not tell what is secret. */
export async function rotate(
  environment: Record<string, string>,
  secrets: readonly string[],
  ...args: string[]
): Promise<Ended> {
  const ended = await run(["rotate-encryption-key", ...args], environment);
  const output = ended.stdout + ended.stderr;
  for (const secret of [...secrets, "whsec_", "Bearer"]) expect(output).not.toContain(secret);
  return ended;
}
