import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { apiKeyHash } from "../../src/domain/api-key.ts";
import { createAuthenticate } from "../../src/http/auth.ts";
import { type ApiKey, revokeApiKey } from "../../src/storage/api-keys.ts";
import { projectTest } from "../support/project-test.ts";
import { type TestService, testApiKey } from "../support/service.ts";
import { until } from "../support/wait.ts";
import { seed } from "./api.ts";

const test = projectTest({ roles: { receiver: true, workers: false } });
const required = "An API key is required: Authorization: Bearer sk_proj_…";
const refused = "This API key is unknown or revoked";

describe("a request to /v1", () => {
  async function answerTo(
    { url }: TestService,
    authorization: string | null,
    path = "/v1/activity",
  ): Promise<[number, unknown]> {
    const answer = await fetch(url + path, {
      headers: authorization === null ? {} : { authorization },
    });
    return [answer.status, await answer.json()];
  }

  test.for<[string, string | null]>([
    ["no key", null],
    ["an empty header", ""],
    ["Bearer without a key", "Bearer "],
    ["another scheme", `Basic ${testApiKey}`],
    ["a key of another form", "Bearer sk_live_tttttttttttttttttttttttttttttttt"],
    ["two keys", `${testApiKey}, ${testApiKey}`.replace("sk_", "xx_")],
  ])("with %s is answered 401", async ([_what, authorization], { service }) => {
    expect(await answerTo(service, authorization)).toEqual([401, { error: required }]);
    expect(await answerTo(service, authorization, `/v1/activity/${randomUUID()}`)).toEqual([
      401,
      { error: required },
    ]);
  });

  test.for<[string, string]>([
    ["an unknown key", `Bearer sk_proj_${"u".repeat(43)}`],
    ["the beginning of a key", `Bearer ${testApiKey.slice(0, -1)}`],
    ["more than a key", `Bearer ${testApiKey}t`],
    ["a key in other letters", `Bearer ${testApiKey.replace(/t+$/, (tail) => tail.toUpperCase())}`],
    ["a very long key", `Bearer sk_proj_${"u".repeat(8_000)}`],
  ])("with %s is answered 401", async ([_what, authorization], { service }) => {
    expect(await answerTo(service, authorization)).toEqual([401, { error: refused }]);
  });

  test("takes the key with Bearer, in any letters and with any space, or alone", async ({ service }) => {
    for (const authorization of [
      `Bearer ${testApiKey}`,
      `bearer   ${testApiKey}`,
      `BEARER\t${testApiKey}`,
      testApiKey,
    ]) {
      expect(await answerTo(service, authorization)).toMatchObject([200, { success: true }]);
    }
  });

  test("does not take the key from the address", async ({ service }) => {
    expect(await answerTo(service, null, `/v1/activity?api_key=${testApiKey}&key=${testApiKey}`)).toEqual([
      401,
      { error: required },
    ]);
  });

  test("without a key is answered 401 even if its parameters are wrong", async ({ service }) => {
    expect(await answerTo(service, null, "/v1/activity?per_page=0")).toEqual([401, { error: required }]);
  });

  test("with a key that lacks the scope is answered 403, which names it", async ({ project, service }) => {
    const key = await project.keyWith("events:read", "activity:write", "activity");
    const lacks = [403, { error: "This API key lacks the scope activity:read" }];

    expect(await answerTo(service, `Bearer ${key}`)).toEqual(lacks);
    expect(await answerTo(service, `Bearer ${key}`, `/v1/activity/${randomUUID()}`)).toEqual(lacks);
    expect(await answerTo(service, `Bearer ${await project.keyWith()}`)).toEqual(lacks);
  });

  test("with a key that has just this scope is answered", async ({ project, service }) => {
    const key = await project.keyWith("activity:read");
    expect(await answerTo(service, `Bearer ${key}`)).toMatchObject([200, { success: true }]);
  });

  test("sees the key's own project alone", async ({ project, otherProject, database, service }) => {
    await seed(database.db, project.id, [{ messageId: "one", createdAt: "2026-11-20T12:00:00Z" }]);
    await seed(database.db, otherProject.id, [{ messageId: "other", createdAt: "2026-11-20T12:00:00Z" }]);

    expect(await answerTo(service, project.key)).toMatchObject([200, { data: [{ message_id: "one" }] }]);
    expect(await answerTo(service, otherProject.key)).toMatchObject([
      200,
      { data: [{ message_id: "other" }] },
    ]);
  });

  test("is refused soon after its key was revoked, and other keys are not", async ({
    project,
    database,
    service,
  }) => {
    const [revoked, other] = [await project.keyWith("*"), project.key];
    expect((await answerTo(service, revoked))[0]).toBe(200);

    // Test keys share their prefix only by chance.
    expect(await revokeApiKey(database.db, revoked.slice(0, 14))).toBe(true);

    await until("the key is refused", async () => (await answerTo(service, revoked))[0] === 401);
    expect(await answerTo(service, revoked)).toEqual([401, { error: refused }]);
    expect((await answerTo(service, other))[0]).toBe(200);
  });
});

describe("the memory of keys", () => {
  const row: ApiKey = {
    project_id: randomUUID(),
    id: randomUUID(),
    name: "test",
    prefix: "sk_proj_",
    scopes: ["*"],
    created_at: new Date(),
    revoked_at: null,
  };

  /** `authenticate` on one key, at a time that the test sets. */
  function withKey(initial: ApiKey | null) {
    const world = { key: initial, nowMs: 0, lookUps: 0 };
    const find = async (sha256s: readonly Buffer[]) => {
      world.lookUps++;
      const sha256 = sha256s.find((one) => one.equals(apiKeyHash(testApiKey)));
      return world.key && sha256 ? [{ ...world.key, sha256 }] : [];
    };
    const authenticate = createAuthenticate(find, () => new Date(world.nowMs));
    const ask = (key = testApiKey) =>
      authenticate(`Bearer ${key}`, "activity:read").then(
        ({ projectId, apiKeyId }) => [projectId, apiKeyId],
        (error: Error) => error.message,
      );
    return { world, ask };
  }

  test("a key is looked up once in three seconds", async () => {
    const { world, ask } = withKey(row);
    for (const nowMs of [0, 1_000, 2_999]) {
      world.nowMs = nowMs;
      expect(await ask()).toEqual([row.project_id, row.id]);
    }
    expect(world.lookUps).toBe(1);
    world.nowMs = 3_000;
    await ask();
    expect(world.lookUps).toBe(2);
  });

  test("a revoked key is refused after at most three seconds", async () => {
    const { world, ask } = withKey(row);
    await ask();
    world.key = { ...row, revoked_at: new Date(0) };
    world.nowMs = 3_000;
    expect(await ask()).toBe(refused);
  });

  test("a key that is made after it was refused works after at most three seconds", async () => {
    const { world, ask } = withKey(null);
    expect(await ask()).toBe(refused);
    world.key = row;
    world.nowMs = 3_000;
    expect(await ask()).toEqual([row.project_id, row.id]);
  });

  test("one key is not taken for another", async () => {
    const { ask } = withKey(row);
    await ask();
    expect(await ask(`sk_proj_${"v".repeat(43)}`)).toBe(refused);
  });

  const guesses = (count: number) => Array.from({ length: count }, (_, index) => `sk_proj_guess-${index}`);

  test("keys that are tried at once share a query, and the valid one among them is taken", async () => {
    const { world, ask } = withKey(row);

    const tried = guesses(1_000).map((guess) => ask(guess));
    const taken = ask();

    expect(await taken).toEqual([row.project_id, row.id]);
    expect(new Set(await Promise.all(tried))).toEqual(new Set([refused]));
    expect(world.lookUps).toBe(1);
  });

  test("keys that are tried during a query wait for the next one, which is theirs together", async () => {
    const open: ((rows: never[]) => void)[] = [];
    const asked: number[] = [];
    const authenticate = createAuthenticate(
      (sha256s) => {
        asked.push(sha256s.length);
        return new Promise((resolve) => open.push(resolve));
      },
      () => new Date(0),
    );
    const ask = (key: string) => authenticate(key, "activity:read").catch((error: Error) => error.message);

    const first = ask("sk_proj_first");
    await until("it is looked up", () => open.length === 1);
    const others = guesses(300).map(ask);
    open[0]?.([]);
    await until("the others are looked up", () => open.length === 2);
    open[1]?.([]);

    expect(new Set(await Promise.all([first, ...others]))).toEqual(new Set([refused]));
    expect(asked).toEqual([1, 300]);
  });

  test("trying more keys than are remembered forces no known one out", async () => {
    const { world, ask } = withKey(row);
    await ask();
    await Promise.all(guesses(10_001).map((guess) => ask(guess)));
    const lookUps = world.lookUps;

    await ask();

    expect(world.lookUps).toBe(lookUps);
  });

  test("a lookup that fails is no answer about the key, and is not remembered", async () => {
    let isAway = true;
    const authenticate = createAuthenticate(
      async () => {
        if (isAway) throw new Error("away");
        return [{ ...row, sha256: apiKeyHash(testApiKey) }];
      },
      () => new Date(0),
    );
    await expect(authenticate(testApiKey, "activity:read")).rejects.toThrow("away");
    isAway = false;
    expect(await authenticate(testApiKey, "activity:read")).toEqual({
      projectId: row.project_id,
      apiKeyId: row.id,
    });
  });
});
