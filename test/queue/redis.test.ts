import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openRelay } from "../../chaos/stage/relay.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { hasRedis, type RedisServer, redisServer } from "../support/redis-server.ts";
import { startTestService, type TestService, type TestServiceOptions } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";

/*
 * BullMQ on Redis. Postgres owns every fact and every timer, so that whatever happens to Redis costs time only.
 */

let database: TestDatabase;
let sink: TestSink;
let redis: RedisServer;
const services: TestService[] = [];

beforeEach(async () => {
  database = await testDatabase();
  sink = await webhookSink(() => ({ status: 200 }));
});
afterEach(async () => {
  for (const service of services.splice(0)) await service.close();
  await redis.close();
  await sink.close();
  await database.drop();
});

async function start(redisUrl: string, roles: TestServiceOptions["roles"] = both): Promise<TestService> {
  const environment = { REDIS_URL: redisUrl, ENCRYPTION_KEY: Buffer.alloc(32, 3).toString("base64") };
  const service = await startTestService({ databaseUrl: database.url, environment, roles });
  services.push(service);
  return service;
}

const both = { receiver: true, workers: true };
const receiverOnly = { receiver: true, workers: false };

async function ingest(service: TestService, count: number): Promise<void> {
  const messages = Array.from({ length: count }, (_, index) =>
    service.signer.notification(asMessage(sesEvent("Send", { messageId: `message-${index}` }))),
  );
  const answers = await Promise.all(messages.map((message) => service.ingest(message)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
}

const activities = async () => (await database.db.query("select 1 from activity")).length;

describe.skipIf(!hasRedis)("with redis-server", () => {
  test("notifications are applied and webhooks delivered", async () => {
    redis = await redisServer();
    const service = await start(redis.url);
    await addEndpoint(service.context, sink.url);

    await ingest(service, 50);

    await until("all webhooks arrived", () => sink.received.length === 50);
    expect(await activities()).toBe(50);
    expect((await redis.client.keys("{fanmail}:*")).length).toBeGreaterThan(0);
    expect((await database.db.query("select 1 from bullmq.job")).length).toBe(0);
  });

  test("a cluster serves as well", async () => {
    redis = await redisServer({ isCluster: true });
    const service = await start(`${redis.url},${redis.url}`);
    await addEndpoint(service.context, sink.url);

    await ingest(service, 20);

    await until("all webhooks arrived", () => sink.received.length === 20);
  });

  test("FLUSHALL between the commit and the work loses nothing", async () => {
    redis = await redisServer();
    const receiver = await start(redis.url, receiverOnly);
    await addEndpoint(receiver.context, sink.url);
    await ingest(receiver, 10);
    await redis.client.flushall();

    await start(redis.url);

    await until("all webhooks arrived", () => sink.received.length === 10);
  });

  test("Redis that is away at the start is used once it is there", async () => {
    redis = await redisServer();
    await redis.kill();
    const service = await start(redis.url);

    await ingest(service, 5);
    await redis.start();

    await until("all are applied", async () => (await activities()) === 5);
    await ingest(service, 1);
    await until("it is woken", async () => (await redis.client.keys("{fanmail}:fanmail-apply:*")).length > 0);
  });

  test("while Redis is away notifications are taken, and worked off when it is back", async () => {
    redis = await redisServer();
    const service = await start(redis.url);
    await redis.kill();

    await ingest(service, 5);
    expect(await activities()).toBe(0);
    await redis.start();

    await until("all are applied", async () => (await activities()) === 5);
  });

  test.each([
    { kind: "Redis", isCluster: false },
    { kind: "Redis Cluster", isCluster: true },
  ])("$kind: connections whose other end vanishes without a word are replaced", async ({ isCluster }) => {
    const relay = await openRelay(null);
    redis = await redisServer({ isCluster, announcedPort: relay.port });
    relay.leadTo(Number(new URL(redis.url).port));
    const url = `redis://127.0.0.1:${relay.port}`;
    try {
      const service = await start(isCluster ? `${url},${url}` : url);
      await ingest(service, 1);
      await until("it is applied", async () => (await activities()) === 1);

      relay.loseFarEnds();
      await ingest(service, 5);

      await until("all are applied", async () => (await activities()) === 5);
    } finally {
      for (const service of services.splice(0)) await service.close();
      await relay.close();
    }
  });
});
