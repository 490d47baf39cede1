import { brotliCompressSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { testApiKey } from "../support/service.ts";
import { newKey } from "./api.ts";
import { EventApi, type Tracked } from "./event-api.ts";

const api = new EventApi();
const { post, track, tracked, stored } = api;

describe("a request body", () => {
  const good = { email: "jane@example.com", event: "view" };

  test.each([
    ["another content type", { headers: { "content-type": "text/plain" } }, 415],
    ["another character set", { headers: { "content-type": "application/json; charset=latin1" } }, 415],
    ["an unknown encoding", { headers: { "content-encoding": "zstd" } }, 415],
    ["a key without the scope", { key: "reader" }, 403],
    ["no key", { key: null }, 401],
  ])("answers %s with its status", async (_what, options, status) => {
    const { key } = await newKey(api.database.db, { scopes: ["events:read"] });
    const asked = "key" in options && options.key === "reader" ? { key } : options;

    expect(await track(good, asked)).toEqual([status, { error: expect.any(String) }]);
  });

  test.each(["utf8", "UTF-8", '"utf-8"', "utf_8", "us-ascii"])("takes charset=%s", async (charset) => {
    const headers = { "content-type": `application/json;charset=${charset}` };

    expect((await track(good, { headers }))[0]).toBe(201);
  });

  test("reads a compressed body, and answers one that is not what it says with 400", async () => {
    const send = (encoding: string, body: Uint8Array<ArrayBuffer>) =>
      fetch(`${api.service.url}/v1/events`, {
        method: "POST",
        headers: {
          authorization: testApiKey,
          "content-type": "application/json",
          "content-encoding": encoding,
        },
        body,
      });
    const plain = Buffer.from(JSON.stringify(good));

    expect((await send("gzip", gzipSync(plain))).status).toBe(201);
    expect((await send("BR", brotliCompressSync(plain))).status).toBe(201);
    for (const encoding of ["gzip", "deflate", "br"]) {
      const answer = await send(encoding, plain);
      expect([encoding, answer.status, await answer.json()]).toEqual([
        encoding,
        400,
        { error: "The body is not what its Content-Encoding says" },
      ]);
    }
  });

  test("answers a body that is too large with 413", async () => {
    const [status, answer] = await track({ ...good, properties: { a: "x".repeat(600_000) } });

    expect([status, answer]).toEqual([413, { error: "The body is larger than 524288 bytes" }]);
  });

  test("answers a body that is not UTF-8 with 400", async () => {
    const body = Buffer.concat([
      Buffer.from('{"email":"j'),
      Buffer.from([0xff]),
      Buffer.from('@example.com"}'),
    ]);
    const answer = await fetch(`${api.service.url}/v1/events`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${(await newKey(api.database.db)).key}`,
        "content-type": "application/json",
      },
      body,
    });

    expect([answer.status, await answer.json()]).toEqual([400, { error: "The body is not UTF-8" }]);
  });
});

describe("POST /v1/events/bulk", () => {
  test("stores all, and counts the new people once", async () => {
    await tracked({ email: "known@example.com", event: "view" });
    const events = ["known@example.com", "new@example.com", "NEW@example.com", "other@example.com"].map(
      (email) => ({ email, event: "view" }),
    );

    expect(await post("/v1/events/bulk", { events })).toEqual([
      201,
      { success: true, total: 4, created_leads: 2 },
    ]);
    expect(await stored()).toHaveLength(5);
  });

  test("takes 1,000", async () => {
    const events = Array.from({ length: 1_000 }, (_, n) => ({
      email: `p${n % 300}@example.com`,
      event: "view",
    }));

    expect(await post("/v1/events/bulk", { events })).toEqual([
      201,
      { success: true, total: 1_000, created_leads: 300 },
    ]);
  });

  const event = { email: "a@example.com", event: "view" };
  test.each<[string, unknown, string]>([
    [
      "an element without email",
      { events: [event, event, { event: "view" }] },
      "events[2].email is required",
    ],
    ["an element that is none", { events: [event, null] }, "events[1] must be an object"],
    ["1,001", { events: Array(1_001).fill(event) }, "events must hold at most 1000 events"],
    ["none", { events: [] }, "events must hold at least one event"],
    ["no list", {}, "events is required"],
  ])("answers %s with 400 and stores nothing", async (_what, body, error) => {
    const [status, answer] = await post("/v1/events/bulk", body);

    expect([status, answer]).toEqual([400, { error: expect.stringContaining(error) }]);
    expect(await stored()).toEqual([]);
    expect(await api.database.db.query("select 1 from recipients")).toEqual([]);
  });
});

describe("Idempotency-Key", () => {
  const body = { email: "jane@example.com", event: "view" };
  const once = async (sent: unknown, key: string, path = "/v1/events") => {
    const answer = await api.service.request("POST", path, {
      body: sent,
      headers: { "idempotency-key": key },
    });
    return {
      status: answer.status,
      replayed: answer.headers.get("idempotency-replayed"),
      body: await answer.json(),
    };
  };

  test("answers a repeat with the first answer, and stores nothing more", async () => {
    const first = await once(body, "key-1");

    const again = await once(body, "key-1");

    expect(first).toMatchObject({ status: 201, replayed: null, body: { created_lead: true } });
    expect(again).toEqual({ ...first, replayed: "true" });
    expect(JSON.stringify(again.body)).toBe(JSON.stringify(first.body));
    expect(await stored()).toHaveLength(1);
  });

  test("holds for requests at the same time", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => once(body, "key-2")));

    expect(new Set(answers.map((answer) => (answer.body as Tracked).event_id)).size).toBe(1);
    expect(answers.filter(({ replayed }) => replayed === null)).toHaveLength(1);
    expect(await stored()).toHaveLength(1);
  });

  test.each([
    ["another body", { ...body, event: "click" }, "/v1/events"],
    ["another route", { events: [body] }, "/v1/events/bulk"],
  ])("is refused with %s", async (_what, other, path) => {
    await once(body, "key-3");

    expect(await once(other, "key-3", path)).toMatchObject({
      status: 409,
      body: { error: "This Idempotency-Key was used for another request within the last 24 hours" },
    });
    expect(await stored()).toHaveLength(1);
  });

  test("is a project's own", async () => {
    const { key } = await newKey(api.database.db, { isOtherProject: true });
    await once(body, "key-4");

    const [status] = await track(body, { key, headers: { "idempotency-key": "key-4" } });

    expect(status).toBe(201);
    expect(await stored()).toHaveLength(2);
  });

  test("is free again after a day, and those of others are cleared away", async () => {
    await once(body, "key-5");
    await once(body, "key-6");
    await api.database.db.query("update idempotency_keys set created_at = now() - interval '25 hours'");

    expect(await once(body, "key-5")).toMatchObject({ status: 201, replayed: null });
    expect(await api.database.db.query("select key from idempotency_keys")).toEqual([{ key: "key-5" }]);
  });

  test("of a request that was refused is free", async () => {
    await once({ email: "nobody" }, "key-7");

    expect(await once(body, "key-7")).toMatchObject({ status: 201, replayed: null });
  });

  test("makes a bulk safe to repeat", async () => {
    const first = await once({ events: [body, body] }, "key-8", "/v1/events/bulk");

    expect(await once({ events: [body, body] }, "key-8", "/v1/events/bulk")).toEqual({
      ...first,
      replayed: "true",
    });
    expect(await stored()).toHaveLength(2);
  });

  test.each([
    ["", 400],
    ["x".repeat(257), 400],
    ["x".repeat(256), 201],
  ] as const)("of %j is answered with %i", async (key, status) => {
    expect((await once(body, key)).status).toBe(status);
  });
});
