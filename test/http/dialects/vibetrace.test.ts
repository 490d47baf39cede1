import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../support/database.ts";
import { startTestService, type TestService } from "../../support/service.ts";
import { ask, newKey } from "../api.ts";

let database: TestDatabase;
let service: TestService;
let janeId: string;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url });
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});
beforeEach(async () => {
  await database.db.query("truncate events, recipients, orders");
  const answer = await service.request("POST", "/v1/events", {
    body: { email: "jane@example.com", event: "signup" },
  });
  janeId = ((await answer.json()) as { recipient_id: string }).recipient_id;
  await database.db.query("truncate events");
});

async function track(body: unknown, path = "/v1/event"): Promise<[number, unknown]> {
  const answer = await service.request("POST", path, { body });
  return [answer.status, await answer.json()];
}
const jane = { email: "jane@example.com" };
const created = [
  200,
  { results: { message: "Event created", email: "Event was created for the specified user" } },
];
const stored = () =>
  database.db.query<Record<string, unknown>>(
    "select name, detail -> 'properties' as properties, discarded from events order by created_at, id",
  );
const refusal = (message: string, description: unknown = expect.any(String)) => ({
  errors: [{ message, description }],
});

describe("POST /v1/event", () => {
  test.each([
    "update",
    "login",
    "generic",
    "confirmation",
    "open",
    "viewitem",
    "viewcategory",
    "search",
    "addtocart",
    "checkout",
  ])("stores %s", async (type) => {
    expect(await track({ user: jane, event: { [type]: { a: 1 } } })).toEqual(created);
    expect(await stored()).toEqual([{ name: type, properties: { a: 1 }, discarded: null }]);
  });

  test("answers with a slash at the end too, and knows the user by id", async () => {
    expect(await track({ user: { _id: janeId }, event: { open: {} } }, "/v1/event/")).toEqual(created);
    expect(await track({ user: { _id: janeId, email: "JANE@example.com" }, event: { login: {} } })).toEqual(
      created,
    );
    expect(await stored()).toHaveLength(2);
  });

  test.each([
    ["flat", { event_name: "wishlist", sku: "A-1" }],
    ["nested once", { generic: { event_name: "wishlist", sku: "A-1" } }],
  ])("a generic event has a name of its own, %s", async (_how, generic) => {
    expect(await track({ user: jane, event: { generic } })).toEqual(created);
    expect(await stored()).toEqual([{ name: "wishlist", properties: { sku: "A-1" }, discarded: null }]);
  });

  test("an order that is confirmed again answers the same, and does not count", async () => {
    await track({ user: jane, event: { confirmation: { orderId: "7" } } });

    expect(await track({ user: jane, event: { confirmation: { generic: { orderId: 7 } } } })).toEqual(
      created,
    );
    expect(await stored()).toMatchObject([{ discarded: null }, { discarded: "duplicate_order" }]);
  });

  test("one open of a person counts in 20 minutes, also of those that come at once", async () => {
    const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
    for (const [email, minutes] of [
      ["jane@example.com", 19],
      ["joe@example.com", 21],
    ] as const) {
      const body = { email, event: "open", timestamp: minutesAgo(minutes) };
      expect((await service.request("POST", "/v1/events", { body })).status).toBe(201);
    }
    const opens = ["jane@example.com", "joe@example.com"].flatMap((email) =>
      Array.from({ length: 5 }, () => track({ user: { email }, event: { open: { campaign: "spring" } } })),
    );

    expect(await Promise.all(opens)).toEqual(Array(10).fill(created));
    const discarded = (await stored()).map((row) => row["discarded"]);
    expect(discarded.filter((reason) => reason === null)).toHaveLength(3);
    expect(discarded.filter((reason) => reason === "open_window")).toHaveLength(9);
    expect(
      await database.db.query(
        `select 1 from events join events kept on kept.id::text = events.detail ->> 'kept'
         where events.discarded = 'open_window' and kept.discarded is null and kept.owner_id = events.owner_id`,
      ),
    ).toHaveLength(9);
  });

  test("opens are limited in the dialect's type alone, and by the window of the project", async () => {
    await track({ user: jane, event: { open: {} } });
    await track({ user: jane, event: { generic: { event_name: "open" } } });
    await service.request("POST", "/v1/events", { body: { ...jane, event: "open" } });
    await database.db.query("update projects set open_window_seconds = 0");
    await track({ user: jane, event: { open: {} } });
    await database.db.query("update projects set open_window_seconds = null");

    expect((await stored()).map((row) => row["discarded"])).toEqual([null, null, null, null]);
  });

  test.each<[string, unknown, string, unknown]>([
    [
      "no event",
      { user: jane },
      "Missing event information",
      "Please send event information along with user",
    ],
    [
      "an empty event",
      { user: jane, event: {} },
      "Missing event information",
      "Please send event information along with user",
    ],
    [
      "several types",
      { user: jane, event: { open: {}, login: {} } },
      "Several event types",
      expect.any(String),
    ],
    ["an unknown type", { user: jane, event: { teleport: {} } }, "Unknown event type", expect.any(String)],
    [
      "a type that is inherited",
      { user: jane, event: { constructor: {} } },
      "Unknown event type",
      expect.any(String),
    ],
    [
      "values that are a list",
      { user: jane, event: { open: [] } },
      "event.open must be an object",
      expect.any(String),
    ],
    ["no user", { event: { open: {} } }, "user is required", expect.any(String)],
    ["an empty user", { user: {}, event: { open: {} } }, "user must hold email or _id", expect.any(String)],
    [
      "an email that is none",
      { user: { email: "jane" }, event: { open: {} } },
      "user.email must be",
      expect.any(String),
    ],
    [
      "an event_name with a NUL",
      { user: jane, event: { generic: { event_name: "a\u0000" } } },
      "event.generic must hold Unicode text",
      expect.any(String),
    ],
  ])("answers %s with 400 and stores nothing", async (_what, body, message, description) => {
    expect(await track(body)).toEqual([
      400,
      refusal(expect.stringContaining(message) as string, description),
    ]);
    expect(await stored()).toEqual([]);
  });

  test("answers an _id and an email of two people with 400", async () => {
    expect(await track({ user: { _id: janeId, email: "joe@example.com" }, event: { open: {} } })).toEqual([
      400,
      refusal("Conflicting user information"),
    ]);
  });

  test.each([
    { email: "nobody@example.com" },
    { _id: "5f0c" },
    { _id: "ffffffff-ffff-4fff-bfff-ffffffffffff" },
  ])("answers the unknown user %j with 404, and does not make them", async (user) => {
    expect(await track({ user, event: { open: {} } })).toEqual([
      404,
      refusal("User not found", "This email does not exist in our database."),
    ]);
    expect(await database.db.query("select 1 from recipients")).toHaveLength(1);
  });
});

describe("GET /v1/user/:email", () => {
  test("shows the profile that update and login have told, the later event's value for each key", async () => {
    const at = (timestamp: string, event: string, properties: object) => ({
      email: "jane@example.com",
      event,
      timestamp,
      properties,
    });
    await service.request("POST", "/v1/events/bulk", {
      body: {
        events: [
          at("2026-11-20T12:00:00Z", "update", { city: "Graz", name: "Jane" }),
          at("2026-11-20T11:00:00Z", "login", { city: "Wien", device: "phone" }),
          at("2026-11-20T13:00:00Z", "viewitem", { city: "Rome" }),
        ],
      },
    });
    await service.request("POST", "/v1/events", {
      body: at("2026-11-20T10:00:00Z", "update", { name: "J.", age: 7 }),
    });

    expect(await ask(service, "/v1/user/JANE@example.com")).toEqual([
      200,
      {
        results: {
          _id: janeId,
          email: "jane@example.com",
          attributes: { city: "Graz", name: "Jane", device: "phone", age: 7 },
          created_at: expect.stringMatching(/Z$/),
          updated_at: expect.stringMatching(/Z$/),
        },
      },
    ]);
  });

  test("logins of the same people at the same time in opposite orders all pass", async () => {
    const people = Array.from({ length: 40 }, (_, n) => `p${n}@example.com`);
    const login = (emails: string[]) =>
      service.request("POST", "/v1/events/bulk", {
        body: { events: emails.map((email) => ({ email, event: "login", properties: { seen: true } })) },
      });

    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) => login(n % 2 === 0 ? people : people.toReversed())),
    );

    expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(201));
  });

  test("is 404 for the unknown, for what is no address, and for other projects", async () => {
    const { key } = await newKey(database.db, { isOtherProject: true });

    for (const [email, asker] of [["nobody@example.com"], ["%00"], ["jane@example.com", key]] as const) {
      expect(await ask(service, `/v1/user/${email}`, asker)).toEqual([
        404,
        refusal("User not found", "This email does not exist in our database."),
      ]);
    }
  });
});
