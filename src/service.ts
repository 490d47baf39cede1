import { startWorkers } from "../workers/main.ts";
import type { Context } from "./context.ts";
import { apiKeyHash, apiKeyPrefix } from "./domain/api-key.ts";
import { startFront } from "./front.ts";
import { insertApiKey } from "./storage/api-keys.ts";
import { defaultProjectId } from "./storage/projects.ts";
import { insertTopic } from "./storage/topics.ts";

/** What a process does: take notifications in and answer the API, or work them off, or both. */
export type Roles = { receiver: boolean; workers: boolean };

export type Service = {
  /** `http://host:port`; null without the receiver. */
  url: string | null;
  /** Stops accepting, finishes what was accepted, and closes the context. */
  close(): Promise<void>;
};

/** Starts the roles of a process. It owns the context from then on, and closes it when it cannot start. */
export async function startService(context: Context, roles: Roles): Promise<Service> {
  const parts: { close(): Promise<void> }[] = [];
  const close = async () => {
    for (const part of parts.toReversed()) await part.close();
    await context.close();
  };
  try {
    await registerConfigured(context);
    if (roles.workers) parts.push(startWorkers(context));
    const front = roles.receiver ? await startFront(context) : null;
    if (front) parts.push(front);
    return { url: front?.url ?? null, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Topics and the key that the environment names belong to the default project. */
async function registerConfigured({ config, db, clock }: Context): Promise<void> {
  for (const arn of config.topicArns) {
    await insertTopic(db, { project_id: defaultProjectId, id: clock.newId(), arn });
  }
  const key = config.bootstrapApiKey;
  if (key === null) return;
  await insertApiKey(db, {
    project_id: defaultProjectId,
    id: clock.newId(),
    name: "BOOTSTRAP_API_KEY",
    prefix: apiKeyPrefix(key),
    scopes: ["*"],
    sha256: apiKeyHash(key),
  });
}
