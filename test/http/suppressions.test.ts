import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { sesEvent } from "../support/ses.ts";
import { ask, feed, newKey } from "./api.ts";

let database: TestDatabase;
let service: TestService;

beforeAll(async () => {
  database = await testDatabase();
  // Deliveries stay as they are owed.
  service = await startTestService({ databaseUrl: database.url });
  await database.db.query(
    `insert into webhook_endpoints (project_id, id, url, event_types, state)
     select id, gen_random_uuid(), 'https://example.com/hook', '{suppression.added,suppression.removed}', 'disabled'
     from projects`,
  );
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});
beforeEach(() => database.db.query("truncate suppressions, deliveries, activity, events, recipients"));

async function request(method: string, path: string, body?: unknown): Promise<[number, unknown]> {
  const answer = await service.request(method, path, body === undefined ? {} : { body });
  return [answer.status, await answer.json()];
}
const add = (body: unknown) => request("POST", "/v1/suppressions", body);
type Listed = { data: { email: string }[]; pagination: { next_cursor: string | null; total: number } };
async function emails(query = ""): Promise<string[]> {
  const [status, body] = await ask(service, `/v1/suppressions${query}`);
  expect(status).toBe(200);
  return (body as Listed).data.map(({ email }) => email);
}
const told = async () =>
  (await database.db.query<{ body: string }>("select body from deliveries order by created_at, id")).map(
    ({ body }) => JSON.parse(body) as { event: string; data: Record<string, unknown> },
  );
const bounce = sesEvent("Bounce", {
  after: 5,
  detail: {
    bounceType: "Permanent",
    bounceSubType: "NoEmail",
    feedbackId: "f",
    bouncedRecipients: [{ emailAddress: "jane@example.com", action: "failed" }],
  },
});

describe("POST /v1/suppressions", () => {
  test("suppresses an address, and tells endpoints", async () => {
    expect(await add({ email: " Jane@Example.com " })).toEqual([201, { success: true, total: 1, added: 1 }]);

    expect(await ask(service, "/v1/suppressions?email=JANE@example.com")).toEqual([
      200,
      {
        success: true,
        data: [
          {
            email: "jane@example.com",
            reason: "manual",
            since: expect.stringMatching(/Z$/),
            source_event_id: null,
            created_at: expect.stringMatching(/Z$/),
            tenant_name: null,
          },
        ],
        pagination: { page: 1, per_page: 50, total: 1, total_pages: 1, next_cursor: null },
      },
    ]);
    expect(await told()).toMatchObject([
      {
        event: "suppression.added",
        data: { recipient: "jane@example.com", reason: "manual", source_event_id: null },
      },
    ]);
  });

  test("takes many at once, and leaves those that are suppressed as they are", async () => {
    await feed(service, bounce);
    const before = await ask(service, "/v1/suppressions");

    expect(
      await add({
        suppressions: [
          { email: "jane@example.com" },
          { email: "joe@example.com", reason: "complaint" },
          { email: "JOE@example.com" },
        ],
      }),
    ).toEqual([201, { success: true, total: 3, added: 1 }]);

    expect(await ask(service, "/v1/suppressions?reason=bounce")).toEqual(before);
    expect(await emails("?reason=complaint")).toEqual(["joe@example.com"]);
  });

  test.each<[string, unknown, string]>([
    ["neither form", {}, "email or suppressions is required, and not both"],
    [
      "both forms",
      { email: "a@example.com", suppressions: [{ email: "b@example.com" }] },
      "email or suppressions is required, and not both",
    ],
    ["what is no address", { email: "jane" }, "email must be an email address"],
    [
      "a wrong element",
      { suppressions: [{ email: "a@example.com" }, { email: "jane" }] },
      "suppressions[1].email must be an email address",
    ],
    ["an unknown reason", { email: "a@example.com", reason: "dislike" }, "reason must be one of bounce"],
    ["the simulator", { email: "bounce@simulator.amazonses.com" }, "mailbox simulator"],
    ["an empty list", { suppressions: [] }, "suppressions must hold at least one address"],
    [
      "a long list",
      { suppressions: Array(1_001).fill({ email: "a@example.com" }) },
      "suppressions must hold at most 1000 addresses",
    ],
  ])("answers %s with 400, and stores nothing", async (_what, body, error) => {
    expect(await add(body)).toEqual([400, { error: expect.stringContaining(error) }]);
    expect(await emails()).toEqual([]);
  });
});

describe("DELETE /v1/suppressions", () => {
  test.each(["/v1/suppressions/Jane@example.com", "/v1/suppressions?email=jane@EXAMPLE.com"])(
    "%s lifts a suppression, and tells endpoints",
    async (path) => {
      await feed(service, bounce);
      const [event] = await database.db.query<{ id: string }>("select id from events");

      expect(await request("DELETE", path)).toEqual([200, { success: true, removed: 1 }]);

      expect(await emails()).toEqual([]);
      expect(await told()).toMatchObject([
        { event: "suppression.added" },
        {
          event: "suppression.removed",
          data: { recipient: "jane@example.com", reason: "bounce", source_event_id: event?.id },
        },
      ]);
    },
  );

  test.each([
    "/v1/suppressions/nobody@example.com",
    "/v1/suppressions/%00",
    "/v1/suppressions?email=no@example.com",
  ])("%s is 404", async (path) => {
    expect(await request("DELETE", path)).toEqual([404, { error: "This address is not suppressed" }]);
  });
});

describe("the list", () => {
  const addresses = Array.from({ length: 5 }, (_, n) => `p${n}@example.com`);

  test("is walked by cursor, through equal times too", async () => {
    await add({ suppressions: addresses.map((email) => ({ email })) });
    const seen: string[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const [, body] = await ask(service, `/v1/suppressions?per_page=2${cursor && `&cursor=${cursor}`}`);
      seen.push(...(body as Listed).data.map(({ email }) => email));
      cursor = (body as Listed).pagination.next_cursor;
    }

    expect(seen.toSorted()).toEqual(addresses);
  });

  test("is a project's own", async () => {
    await add({ email: "jane@example.com" });
    const { key } = await newKey(database.db, { isOtherProject: true });

    expect(await ask(service, "/v1/suppressions", key)).toMatchObject([200, { data: [] }]);
    const answer = await service.request("DELETE", "/v1/suppressions/jane@example.com", { key });
    expect(answer.status).toBe(404);
  });

  test("comes as CSV", async () => {
    await feed(service, bounce);
    const [event] = await database.db.query<{ id: string }>("select id from events");
    const [row] = await database.db.query<{ created_at: Date }>("select created_at from suppressions");

    const answer = await service.get("/v1/suppressions.csv?reason=bounce");

    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/csv; charset=utf-8"]);
    expect(await answer.text()).toBe(
      `email,reason,since,source_event_id,created_at,tenant_name\njane@example.com,bounce,2026-11-20T10:00:05.000Z,${event?.id},${row?.created_at.toISOString()},\n`,
    );
    expect(await (await service.get("/v1/suppressions.csv?reason=manual")).text()).toBe(
      "email,reason,since,source_event_id,created_at,tenant_name\n",
    );
  });
});

describe("GET /v1/recipients/:email", () => {
  test("shows a person who was written to", async () => {
    await feed(service, bounce);
    const [recipient] = await database.db.query<{ id: string }>("select id from recipients");

    expect(await ask(service, "/v1/recipients/Jane@example.com")).toEqual([
      200,
      {
        success: true,
        data: {
          id: recipient?.id,
          email: "jane@example.com",
          attributes: {},
          suppressed: true,
          created_at: expect.stringMatching(/Z$/),
          updated_at: expect.stringMatching(/Z$/),
        },
      },
    ]);
  });

  test.each(["nobody@example.com", "nonsense", "%00"])("is 404 for %s", async (email) => {
    expect(await ask(service, `/v1/recipients/${email}`)).toEqual([
      404,
      { error: "There is no recipient with this address" },
    ]);
  });
});
