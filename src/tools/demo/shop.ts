import { randomBytes } from "node:crypto";
import type { StoreContext } from "../../context.ts";
import { readOrMake } from "../../data-dir.ts";
import { apiKey, apiKeyHash, apiKeyPrefix } from "../../domain/api-key.ts";
import { insertApiKey } from "../../storage/api-keys.ts";
import { findProject, insertProject } from "../../storage/projects.ts";
import { insertTopic } from "../../storage/topics.ts";
import { activeSecrets, findEndpoint, listEndpoints } from "../../storage/webhooks/endpoints.ts";
import { addEndpoint, changeEndpoint } from "../../webhooks/add-endpoint.ts";
import { enableEndpoint } from "../../webhooks/switch-endpoint.ts";

/** The topic that the captured week is published to. */
export const shopTopic = "arn:aws:sns:us-east-1:123456789012:example-shop-events";

export const projectName = "Example Shop";

/** What the demonstration works with. */
export type Shop = { projectId: string; apiKey: string; endpointId: string; secret: string };

/** Makes the project, its key, its topic and its endpoint, or finds those of an earlier demonstration. */
export async function setUpShop(store: StoreContext): Promise<Shop> {
  const projectId = await ensureProject(store);
  await insertTopic(store.db, { project_id: projectId, id: store.clock.newId(), arn: shopTopic });
  const key = await readOrMake(store.config.dataDir, "api.key", () => apiKey(randomBytes(32)));
  await insertApiKey(store.db, {
    project_id: projectId,
    id: store.clock.newId(),
    name: "demo",
    prefix: apiKeyPrefix(key),
    scopes: ["*"],
    sha256: apiKeyHash(key),
  });
  return { projectId, apiKey: key, ...(await ensureEndpoint(store, projectId)) };
}

/** Points the endpoint at the sink of this run; that an earlier one is gone is not held against it. */
export async function connectSink(store: StoreContext, shop: Shop, url: string): Promise<void> {
  const endpoint = await findEndpoint(store.db, shop.projectId, shop.endpointId);
  if (endpoint === null) return;
  await changeEndpoint(store, endpoint, { url });
  await enableEndpoint(store.db, endpoint);
}

async function ensureProject({ db, clock }: StoreContext): Promise<string> {
  const existing = await findProject(db, projectName);
  if (existing) return existing.id;
  const id = clock.newId();
  await insertProject(db, id, projectName);
  return id;
}

async function ensureEndpoint(
  store: StoreContext,
  projectId: string,
): Promise<Pick<Shop, "endpointId" | "secret">> {
  const [existing] = await listEndpoints(store.db, [projectId]);
  if (existing) {
    const [sealed] = await activeSecrets(store.db, existing);
    if (sealed) return { endpointId: existing.id, secret: store.secretBox.open(sealed, existing.id) };
  }
  const added = await addEndpoint(store, projectId, "http://127.0.0.1/", {
    description: "The sink of the demonstration",
  });
  return { endpointId: added.id, secret: added.secret };
}
