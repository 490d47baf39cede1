import { afterEach, describe, expect, test } from "vitest";
import { redisBackend } from "../../../src/queue/redis.ts";
import type { Finding } from "../../../src/tools/doctor/finding.ts";
import { judge } from "../../../src/tools/doctor/rules/table.ts";
import { hasRedis, type RedisServer, redisServer } from "../../support/redis-server.ts";

let redis: RedisServer | undefined;

afterEach(async () => {
  await redis?.close();
  redis = undefined;
});

async function look(url: string): Promise<Finding[]> {
  const [server] = redisBackend([url]).servers;
  if (server === undefined || server.isDatabase) throw new Error("Redis is a server of its own");
  return judge([await server.health(4_000)]);
}
const unwell = (seen: Finding[]) => seen.filter(({ level }) => level !== "ok");

describe.skipIf(!hasRedis)("with redis-server", () => {
  test("a Redis that keeps its jobs is ok, and its backlog is reported", async () => {
    redis = await redisServer();
    await redis.client.lpush("{fanmail}:fanmail-apply:wait", "1", "2", "3");

    const seen = await look(redis.url);

    expect(unwell(seen)).toEqual([]);
    expect(seen[0]?.what).toMatch(/^Redis \d+\.\d+\S* at 127\.0\.0\.1:\d+ answers; wake-ups that wait: 3\.$/);
  });

  test.each([
    {
      code: "redis-eviction",
      fault: "drops jobs when it is full",
      settings: [["maxmemory-policy", "allkeys-lru"]],
      what: /maxmemory-policy is allkeys-lru/,
      remedy: /config set maxmemory-policy noeviction/,
    },
    {
      code: "redis-persistence",
      fault: "loses its jobs when it restarts",
      settings: [["appendonly", "no"]],
      what: /appendonly is off/,
      remedy: /config set appendonly yes/,
    },
    {
      code: "redis-memory",
      fault: "is almost full",
      settings: [["maxmemory", "1mb"]],
      what: /of its 1 MB are used/,
      remedy: /Raise maxmemory/,
    },
    {
      code: "redis-login",
      fault: "requires a password",
      settings: [["requirepass", "secret"]],
      what: /NOAUTH/,
      remedy: /user and password into REDIS_URL/,
    },
  ])("a Redis that $fault", async ({ code, settings, what, remedy }) => {
    redis = await redisServer();
    for (const [name = "", value = ""] of settings) await redis.client.config("SET", name, value);

    const seen = await look(redis.url);

    expect(unwell(seen)).toEqual([
      expect.objectContaining({
        code,
        what: expect.stringMatching(what),
        remedy: expect.stringMatching(remedy),
      }),
    ]);
  });

  test("a Redis that is down", async () => {
    redis = await redisServer();
    await redis.kill();

    const seen = await look(redis.url.replace("redis://", "redis://:secret@"));
    await redis.start();

    expect(seen).toEqual([
      {
        code: "redis-away",
        area: "queue",
        level: "fail",
        what: expect.stringMatching(/^Redis at 127\.0\.0\.1:\d+ cannot be used: .*ECONNREFUSED/),
        remedy: expect.stringMatching(/^Start Redis/),
      },
    ]);
  });

  test("a Redis Cluster, and one with unassigned slots", async () => {
    redis = await redisServer({ isCluster: true });
    expect(unwell(await look(redis.url))).toEqual([]);

    await redis.client.call("CLUSTER", "DELSLOTSRANGE", "0", "99");

    expect(unwell(await look(redis.url))).toEqual([
      {
        code: "redis-cluster",
        area: "queue",
        level: "fail",
        what: expect.stringMatching(/^The Redis Cluster is in the state fail/),
        remedy: expect.stringMatching(/assign slots/),
      },
    ]);
  });
});
