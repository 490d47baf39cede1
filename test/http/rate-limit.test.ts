import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apiKey } from "../../src/domain/api-key.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { type FanmailProcess, fanmail, terminate } from "../support/fanmail-process.ts";
import { newKey } from "../support/project-test.ts";
import { hasRedis, type RedisServer, redisServer } from "../support/redis-server.ts";
import { startTestService, type TestService, testApiKey } from "../support/service.ts";

const limit = 1_000;
/** Processes hear of each other's requests a little later. */
const tolerance = 100;

type Backend = { redis: RedisServer | null; database: TestDatabase };

async function openBackend(isRedis: boolean): Promise<Backend> {
  return { redis: isRedis ? await redisServer() : null, database: await testDatabase() };
}

async function closeBackend({ redis, database }: Backend): Promise<void> {
  await redis?.close();
  await database.drop();
}

/** Makes all that has been counted older. */
async function age({ redis, database }: Backend, seconds: number): Promise<void> {
  await database.db.query(
    "update request_windows set seconds = (select array_agg(second - $1) from unnest(seconds) as second)",
    [seconds],
  );
  for (const name of (await redis?.client.keys("fanmail:requests:*")) ?? []) {
    const counts = Object.entries((await redis?.client.hgetall(name)) ?? {});
    const older = counts.map(([second, count]) => [String(Number(second) - seconds), count]);
    await redis?.client.del(name);
    await redis?.client.hset(name, Object.fromEntries(older));
  }
}

const places: [string, boolean][] = [
  ["PostgreSQL", false],
  ["Redis", true],
];

describe.each(places)("two processes that count in %s", (_where, isRedis) => {
  describe.skipIf(isRedis && !hasRedis)("together", () => {
    let backend: Backend;
    let processes: FanmailProcess[];
    let urls: string[];
    const bootstrapKey = apiKey(randomBytes(32));

    beforeAll(async () => {
      backend = await openBackend(isRedis);
      const environment = {
        PORT: "0",
        DATABASE_URL: backend.database.url,
        ENCRYPTION_KEY: randomBytes(32).toString("base64"),
        BOOTSTRAP_API_KEY: bootstrapKey,
        RATE_LIMIT_PER_MINUTE: String(limit),
        ...(backend.redis && { REDIS_URL: backend.redis.url }),
      };
      processes = [fanmail(["receiver"], environment), fanmail(["receiver"], environment)];
      urls = await Promise.all(
        processes.map(async (one) => (await one.line(/listens on (\S+)/))[1] ?? "no address"),
      );
    });
    afterAll(async () => {
      await Promise.all((processes ?? []).map(terminate));
      await closeBackend(backend);
    });

    async function ask(place: number, key: string): Promise<Response> {
      const answer = await fetch(`${urls[place % urls.length]}/v1/suppressions?per_page=1`, {
        headers: { authorization: `Bearer ${key}` },
      });
      await answer.arrayBuffer();
      return answer;
    }

    test(`let ${limit} of ${limit + 1} requests of a key pass, and all of another key`, async () => {
      const other = await newKey(backend.database.db);
      const answers: Response[] = [];
      let next = 0;
      await Promise.all(
        Array.from({ length: 64 }, async () => {
          while (next < limit + 1) answers.push(await ask(next++, bootstrapKey));
        }),
      );
      // Whatever the processes let pass too much at the limit, they are of one mind after it.
      for (let more = 0; more < 4; more++) answers.push(await ask(more, bootstrapKey));

      const passed = answers.filter(({ status }) => status === 200);
      const refused = answers.filter(({ status }) => status === 429);
      expect(passed.length + refused.length).toBe(limit + 5);
      expect(passed.length).toBeGreaterThanOrEqual(limit - tolerance);
      expect(passed.length).toBeLessThanOrEqual(limit + tolerance);
      expect(refused.length).toBeGreaterThanOrEqual(4);
      for (const { headers } of refused) {
        const retryAfter = Number(headers.get("retry-after"));
        expect(retryAfter).toBeGreaterThanOrEqual(1);
        expect(retryAfter).toBeLessThanOrEqual(60);
        expect(headers.get("ratelimit-remaining")).toBe("0");
      }
      expect((await ask(0, other)).status).toBe(200);
      expect((await ask(1, other)).status).toBe(200);
    });
  });
});

describe.each(places)("a limit that is counted in %s", (_where, isRedis) => {
  describe.skipIf(isRedis && !hasRedis)("of 3", () => {
    let backend: Backend;
    let service: TestService;

    beforeAll(async () => {
      backend = await openBackend(isRedis);
      service = await startTestService({
        databaseUrl: backend.database.url,
        roles: { receiver: true, workers: false },
        environment: {
          RATE_LIMIT_PER_MINUTE: "3",
          ...(backend.redis && { REDIS_URL: backend.redis.url }),
        },
      });
    });
    afterAll(async () => {
      await service?.close();
      await closeBackend(backend);
    });

    async function ask(key: string, path = "/v1/suppressions") {
      const { status, headers } = await service.get(path, key);
      return {
        status,
        remaining: headers.get("ratelimit-remaining"),
        retryAfter: headers.get("retry-after"),
      };
    }

    test("slides: what is a minute old makes room for as many, no sooner", async () => {
      const key = await newKey(backend.database.db);
      const passes = (remaining: number) => ({
        status: 200,
        remaining: String(remaining),
        retryAfter: null,
      });

      expect(await ask(key)).toEqual(passes(2));
      await age(backend, 40);
      expect(await ask(key)).toEqual(passes(1));
      expect(await ask(key)).toEqual(passes(0));
      const refused = await ask(key);
      expect(refused).toMatchObject({ status: 429, remaining: "0" });
      // Of the first request's second some part had gone by.
      expect(["18", "19", "20"]).toContain(refused.retryAfter);

      await age(backend, Number(refused.retryAfter));
      expect(await ask(key)).toEqual(passes(0));
      expect(await ask(key)).toMatchObject({ status: 429 });
      await age(backend, 61);
      expect(await ask(key)).toEqual(passes(2));
    });

    test("requests that come at once are counted as well as those that come one by one", async () => {
      const key = await newKey(backend.database.db);
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(key)));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
      expect(answers.filter(({ status }) => status === 429)).toHaveLength(17);
    });

    test("an answer of any kind carries the limit, also in a dialect's own shape when it is refused", async () => {
      const key = await newKey(backend.database.db);
      const paths = ["/v1/activity?page=0", `/v1/activity/${randomUUID()}`, "/v1/activity.csv"];
      const answers = [];
      for (const path of paths) answers.push(await ask(key, path));
      expect(answers.map(({ status, remaining }) => [status, remaining])).toEqual([
        [400, "2"],
        [404, "1"],
        [200, "0"],
      ]);

      const refused = await service.get("/api/v1/sends", key);
      expect(refused.status).toBe(429);
      expect(refused.headers.get("ratelimit-limit")).toBe("3");
      expect(await refused.json()).toEqual({
        error: { code: "rate_limited", message: expect.stringMatching(/^More than 3 requests in a minute/) },
      });
    });

    test("a key that is not accepted is not counted", async () => {
      const key = await newKey(backend.database.db, { scopes: ["events:read"] });
      for (let request = 0; request < 5; request++) expect((await ask(key)).status).toBe(403);
      expect((await ask("sk_proj_unknown")).status).toBe(401);
    });
  });
});

describe.skipIf(!hasRedis)("while Redis is away", () => {
  test("requests pass uncounted, because it is no fault of the caller", async () => {
    const backend = await openBackend(true);
    const service = await startTestService({
      databaseUrl: backend.database.url,
      roles: { receiver: true, workers: false },
      environment: { RATE_LIMIT_PER_MINUTE: "1", REDIS_URL: backend.redis?.url ?? "" },
    });
    try {
      const path = "/v1/suppressions";
      expect((await service.get(path, testApiKey)).status).toBe(200);
      expect((await service.get(path, testApiKey)).status).toBe(429);
      await backend.redis?.kill();
      expect((await service.get(path, testApiKey)).status).toBe(200);
      expect((await service.get(path, testApiKey)).status).toBe(200);
      await backend.redis?.start();
    } finally {
      await service.close();
      await closeBackend(backend);
    }
  });
});
