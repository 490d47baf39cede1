import { brotliCompressSync, gzipSync } from "node:zlib";
import { describe, expect } from "vitest";
import { projectTest, type TestProject } from "../support/project-test.ts";
import type { TestRequest } from "../support/service.ts";
import { send, stored, type Tracked, track, tracked } from "./api.ts";

const test = projectTest();

describe("a request body", () => {
  const good = { email: "jane@example.com", event: "view" };

  test.for<[string, TestRequest, number]>([
    ["another content type", { headers: { "content-type": "text/plain" } }, 415],
    ["another character set", { headers: { "content-type": "application/json; charset=latin1" } }, 415],
    ["an unknown encoding", { headers: { "content-encoding": "zstd" } }, 415],
    ["a key without the scope", { key: "reader" }, 403],
    ["no key", { key: null }, 401],
  ])("answers %s with its status", async ([_what, options, status], { project }) => {
    const key = await project.keyWith("events:read");
    const asked = options.key === "reader" ? { key } : options;

    expect(await track(project, good, asked)).toEqual([status, { error: expect.any(String) }]);
  });

  test.for(["utf8", "UTF-8", '"utf-8"', "utf_8", "us-ascii"])(
    "takes charset=%s",
    async (charset, { project }) => {
      const headers = { "content-type": `application/json;charset=${charset}` };

      expect((await track(project, good, { headers }))[0]).toBe(201);
    },
  );

  test("reads a compressed body, and answers one that is not what it says with 400", async ({
    project,
    service,
  }) => {
    const send = (encoding: string, body: Uint8Array<ArrayBuffer>) =>
      fetch(`${service.url}/v1/events`, {
        method: "POST",
        headers: {
          authorization: project.key,
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

  test("answers a body that is too large with 413", async ({ project }) => {
    const [status, answer] = await track(project, { ...good, properties: { a: "x".repeat(600_000) } });

    expect([status, answer]).toEqual([413, { error: "The body is larger than 524288 bytes" }]);
  });

  test("answers a body that is not UTF-8 with 400", async ({ project, service }) => {
    const body = Buffer.concat([
      Buffer.from('{"email":"j'),
      Buffer.from([0xff]),
      Buffer.from('@example.com"}'),
    ]);
    const answer = await fetch(`${service.url}/v1/events`, {
      method: "POST",
      headers: {
        authorization: project.key,
        "content-type": "application/json",
      },
      body,
    });

    expect([answer.status, await answer.json()]).toEqual([400, { error: "The body is not UTF-8" }]);
  });
});

describe("POST /v1/events/bulk", () => {
  test("stores all, and counts the new people once", async ({ project }) => {
    await tracked(project, { email: "known@example.com", event: "view" });
    const events = ["known@example.com", "new@example.com", "NEW@example.com", "other@example.com"].map(
      (email) => ({ email, event: "view" }),
    );

    expect(await send(project, "POST", "/v1/events/bulk", { events })).toEqual([
      201,
      { success: true, total: 4, created_leads: 2 },
    ]);
    expect(await stored(project)).toHaveLength(5);
  });

  test("takes 1,000", async ({ project }) => {
    const events = Array.from({ length: 1_000 }, (_, n) => ({
      email: `p${n % 300}@example.com`,
      event: "view",
    }));

    expect(await send(project, "POST", "/v1/events/bulk", { events })).toEqual([
      201,
      { success: true, total: 1_000, created_leads: 300 },
    ]);
  });

  const event = { email: "a@example.com", event: "view" };
  test.for<[string, unknown, string]>([
    [
      "an element without email",
      { events: [event, event, { event: "view" }] },
      "events[2].email is required",
    ],
    ["an element that is none", { events: [event, null] }, "events[1] must be an object"],
    ["1,001", { events: Array(1_001).fill(event) }, "events must hold at most 1000 events"],
    ["none", { events: [] }, "events must hold at least one event"],
    ["no list", {}, "events is required"],
  ])("answers %s with 400 and stores nothing", async ([_what, body, error], { project }) => {
    const [status, answer] = await send(project, "POST", "/v1/events/bulk", body);

    expect([status, answer]).toEqual([400, { error: expect.stringContaining(error) }]);
    expect(await stored(project)).toEqual([]);
    expect(await project.select("select 1 from recipients")).toEqual([]);
  });
});

describe("Idempotency-Key", () => {
  const body = { email: "jane@example.com", event: "view" };
  const once = async (project: TestProject, sent: unknown, key: string, path = "/v1/events") => {
    const answer = await project.request("POST", path, {
      body: sent,
      headers: { "idempotency-key": key },
    });
    return {
      status: answer.status,
      replayed: answer.headers.get("idempotency-replayed"),
      body: await answer.json(),
    };
  };

  test("answers a repeat with the first answer, and stores nothing more", async ({ project }) => {
    const first = await once(project, body, "key-1");

    const again = await once(project, body, "key-1");

    expect(first).toMatchObject({ status: 201, replayed: null, body: { created_lead: true } });
    expect(again).toEqual({ ...first, replayed: "true" });
    expect(JSON.stringify(again.body)).toBe(JSON.stringify(first.body));
    expect(await stored(project)).toHaveLength(1);
  });

  test("holds for requests at the same time", async ({ project }) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => once(project, body, "key-2")));

    expect(new Set(answers.map((answer) => (answer.body as Tracked).event_id)).size).toBe(1);
    expect(answers.filter(({ replayed }) => replayed === null)).toHaveLength(1);
    expect(await stored(project)).toHaveLength(1);
  });

  test.for<[string, unknown, string]>([
    ["another body", { ...body, event: "click" }, "/v1/events"],
    ["another route", { events: [body] }, "/v1/events/bulk"],
  ])("is refused with %s", async ([_what, other, path], { project }) => {
    await once(project, body, "key-3");

    expect(await once(project, other, "key-3", path)).toMatchObject({
      status: 409,
      body: { error: "This Idempotency-Key was used for another request within the last 24 hours" },
    });
    expect(await stored(project)).toHaveLength(1);
  });

  test("is a project's own", async ({ project, otherProject }) => {
    await once(project, body, "key-4");

    const [status] = await track(otherProject, body, { headers: { "idempotency-key": "key-4" } });

    expect(status).toBe(201);
    expect(await stored(project)).toHaveLength(1);
    expect(await stored(otherProject)).toHaveLength(1);
  });

  test("is free again after a day, and those of others are cleared away", async ({ project, database }) => {
    await once(project, body, "key-5");
    await once(project, body, "key-6");
    await database.db.query(
      "update idempotency_keys set created_at = now() - interval '25 hours' where project_id = $1",
      [project.id],
    );

    expect(await once(project, body, "key-5")).toMatchObject({ status: 201, replayed: null });
    expect(await project.select("select key from idempotency_keys")).toEqual([{ key: "key-5" }]);
  });

  test("of a request that was refused is free", async ({ project }) => {
    await once(project, { email: "nobody" }, "key-7");

    expect(await once(project, body, "key-7")).toMatchObject({ status: 201, replayed: null });
  });

  test("makes a bulk safe to repeat", async ({ project }) => {
    const first = await once(project, { events: [body, body] }, "key-8", "/v1/events/bulk");

    expect(await once(project, { events: [body, body] }, "key-8", "/v1/events/bulk")).toEqual({
      ...first,
      replayed: "true",
    });
    expect(await stored(project)).toHaveLength(2);
  });

  test.for([
    ["", 400],
    ["x".repeat(257), 400],
    ["x".repeat(256), 201],
  ] as const)("of %j is answered with %i", async ([key, status], { project }) => {
    expect((await once(project, body, key)).status).toBe(status);
  });
});
