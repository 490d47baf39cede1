import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { pause } from "../../clock.ts";
import type { Context, StoreContext } from "../../context.ts";
import { readOrMake } from "../../data-dir.ts";
import { apiKey, apiKeyHash, apiKeyPrefix } from "../../domain/api-key.ts";
import { insertApiKey } from "../../storage/api-keys.ts";
import { findProject, insertProject } from "../../storage/projects.ts";
import { insertTopic } from "../../storage/topics.ts";
import { activeSecrets, findEndpoint, listEndpoints } from "../../storage/webhooks/endpoints.ts";
import { addEndpoint, changeEndpoint, enableEndpoint } from "../../webhooks/endpoints.ts";
import type { LocalSigner } from "../captures/local-signer.ts";
import { type ReplayOptions, replayCapture } from "../captures/post.ts";
import type { DemoResult } from "./report.ts";
import {
  countDeliveryStates,
  countDiscards,
  countEvents,
  countNotifications,
  countSuppressions,
  sumBatches,
} from "./statistics.sql.ts";

const settleWithinMs = 60_000;

/** The parts of a demonstration. */
export type Demonstration = {
  context: Context;
  shop: Shop;
  sink: WebhookSink;
  signer: LocalSigner;
  /** The service's base URL. */
  url: string;
  capturePath: string;
  /** Ends the demonstration early. */
  stop: AbortSignal;
};

/** Replays the week into the receiver over HTTP, and waits until everything is applied and delivered. */
export async function runDemo(
  demonstration: Demonstration,
  onProgress: ReplayOptions["onProgress"],
): Promise<DemoResult> {
  const startedMs = Date.now();
  const summary = await replayCapture({
    path: demonstration.capturePath,
    signer: demonstration.signer,
    topicArn: shopTopic,
    url: `${demonstration.url}/ingest/sns`,
    rate: null,
    giveUpAfterMs: 30_000,
    stopping: demonstration.stop,
    ...(onProgress ? { onProgress } : {}),
  });
  const seconds = (Date.now() - startedMs) / 1000;
  await settle(demonstration);
  const { db } = demonstration.context;
  return {
    summary,
    journal: await countNotifications(db, demonstration.shop.projectId),
    batches: await sumBatches(db),
    events: await countEvents(db, demonstration.shop.projectId),
    discards: await countDiscards(db, demonstration.shop.projectId),
    suppressions: await countSuppressions(db, demonstration.shop.projectId),
    deliveries: await countDeliveryStates(db, demonstration.shop.projectId),
    verified: demonstration.sink.verified.size,
    refused: demonstration.sink.refused,
    seconds,
  };
}

/** Waits until all batches are applied and all deliveries are finished. */
async function settle({ context: { db }, shop, stop }: Demonstration): Promise<void> {
  const untilMs = Date.now() + settleWithinMs;
  while (Date.now() < untilMs && !stop.aborted) {
    const { unapplied } = await sumBatches(db);
    const deliveries = await countDeliveryStates(db, shop.projectId);
    const isUnderWay = ["pending", "leased", "retrying"].some((state) => deliveries.has(state));
    if (unapplied === 0 && !isUnderWay) return;
    await pause(50, stop);
  }
}

/** The topic of the captured week. */
export const shopTopic = "arn:aws:sns:us-east-1:123456789012:example-shop-events";

export const projectName = "Example Shop";

/** The demonstration's project. */
export type Shop = { projectId: string; apiKey: string; endpointId: string; secret: string };

/** Creates the project, its API key, topic and endpoint, or finds those of an earlier demonstration. */
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

/** Points the endpoint to this run's sink, and enables it in case an earlier sink's absence disabled it. */
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

/** A minimal customer system: receives webhooks and checks their signatures. */
export type WebhookSink = {
  url: string;
  /** Ids of webhooks whose signature the `standardwebhooks` package accepts. */
  verified: ReadonlySet<string>;
  /** How many webhooks it refused. */
  refused: number;
  close(): Promise<void>;
};

/** @param secret `whsec_…` of the endpoint. */
export async function startWebhookSink(secret: string): Promise<WebhookSink> {
  const webhook = new Webhook(secret);
  const verified = new Set<string>();
  const sink = { url: "", verified, refused: 0, close };
  const server = createServer(async (request, response) => {
    const body = await textOf(request);
    const id = request.headers["webhook-id"];
    if (typeof id === "string" && isAuthentic(webhook, body, request)) verified.add(id);
    else sink.refused++;
    response.writeHead(204).end();
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  sink.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`;
  return sink;

  function close(): Promise<void> {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  }
}

function isAuthentic(webhook: Webhook, body: string, { headers }: IncomingMessage): boolean {
  try {
    webhook.verify(body, {
      "webhook-id": String(headers["webhook-id"]),
      "webhook-timestamp": String(headers["webhook-timestamp"]),
      "webhook-signature": String(headers["webhook-signature"]),
    });
    return true;
  } catch {
    return false;
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
