import { describe, expect } from "vitest";
import { projectTest, type TestProject } from "../../support/project-test.ts";
import { ask, send, tracked } from "../api.ts";

/** The service knows Jane, by no event. */
const test = projectTest().extend("janeId", { auto: true }, async ({ project, database }) => {
  const { recipient_id } = await tracked(project, { ...jane, event: "signup" });
  await database.db.query("delete from events where project_id = $1", [project.id]);
  return recipient_id;
});
const track = (project: TestProject, body: unknown, path = "/v1/event") => send(project, "POST", path, body);
const jane = { email: "jane@example.com" };
const created = [
  200,
  { results: { message: "Event created", email: "Event was created for the specified user" } },
];
const stored = ({ select }: TestProject) =>
  select<Record<string, unknown>>(
    "select name, detail -> 'properties' as properties, discarded from events order by created_at, id",
  );
const refusal = (message: string, description: unknown = expect.any(String)) => ({
  errors: [{ message, description }],
});

describe("POST /v1/event", () => {
  test.for([
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
  ])("stores %s", async (type, { project }) => {
    expect(await track(project, { user: jane, event: { [type]: { a: 1 } } })).toEqual(created);
    expect(await stored(project)).toEqual([{ name: type, properties: { a: 1 }, discarded: null }]);
  });

  test("answers with a slash at the end too, and knows the user by id", async ({ project, janeId }) => {
    expect(await track(project, { user: { _id: janeId }, event: { open: {} } }, "/v1/event/")).toEqual(
      created,
    );
    expect(
      await track(project, { user: { _id: janeId, email: "JANE@example.com" }, event: { login: {} } }),
    ).toEqual(created);
    expect(await stored(project)).toHaveLength(2);
  });

  test.for([
    ["flat", { event_name: "wishlist", sku: "A-1" }],
    ["nested once", { generic: { event_name: "wishlist", sku: "A-1" } }],
  ])("a generic event has a name of its own, %s", async ([_how, generic], { project }) => {
    expect(await track(project, { user: jane, event: { generic } })).toEqual(created);
    expect(await stored(project)).toEqual([
      { name: "wishlist", properties: { sku: "A-1" }, discarded: null },
    ]);
  });

  test("an order that is confirmed again answers the same, and does not count", async ({ project }) => {
    await track(project, { user: jane, event: { confirmation: { orderId: "7" } } });

    expect(
      await track(project, { user: jane, event: { confirmation: { generic: { orderId: 7 } } } }),
    ).toEqual(created);
    expect(await stored(project)).toMatchObject([{ discarded: null }, { discarded: "duplicate_order" }]);
  });

  test("one open of a person counts in 20 minutes, also of those that come at once", async ({ project }) => {
    const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
    for (const [email, minutes] of [
      ["jane@example.com", 19],
      ["joe@example.com", 21],
    ] as const) {
      await tracked(project, { email, event: "open", timestamp: minutesAgo(minutes) });
    }
    const opens = ["jane@example.com", "joe@example.com"].flatMap((email) =>
      Array.from({ length: 5 }, () =>
        track(project, { user: { email }, event: { open: { campaign: "spring" } } }),
      ),
    );

    expect(await Promise.all(opens)).toEqual(Array(10).fill(created));
    const discarded = (await stored(project)).map((row) => row["discarded"]);
    expect(discarded.filter((reason) => reason === null)).toHaveLength(3);
    expect(discarded.filter((reason) => reason === "open_window")).toHaveLength(9);
    expect(
      await project.select(
        `select 1 from events join events kept on kept.id::text = events.detail ->> 'kept'
         where events.discarded = 'open_window' and kept.discarded is null and kept.owner_id = events.owner_id`,
      ),
    ).toHaveLength(9);
  });

  test("opens are limited in the dialect's type alone, and by the window of the project", async ({
    project,
    database,
  }) => {
    await track(project, { user: jane, event: { open: {} } });
    await track(project, { user: jane, event: { generic: { event_name: "open" } } });
    await tracked(project, { ...jane, event: "open" });
    await database.db.query("update projects set open_window_seconds = 0 where id = $1", [project.id]);
    await track(project, { user: jane, event: { open: {} } });

    expect((await stored(project)).map((row) => row["discarded"])).toEqual([null, null, null, null]);
  });

  test.for<[string, unknown, string, unknown]>([
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
  ])("answers %s with 400 and stores nothing", async ([_what, body, message, description], { project }) => {
    expect(await track(project, body)).toEqual([
      400,
      refusal(expect.stringContaining(message) as string, description),
    ]);
    expect(await stored(project)).toEqual([]);
  });

  test("answers an _id and an email of two people with 400", async ({ project, janeId }) => {
    expect(
      await track(project, { user: { _id: janeId, email: "joe@example.com" }, event: { open: {} } }),
    ).toEqual([400, refusal("Conflicting user information")]);
  });

  test.for([
    { email: "nobody@example.com" },
    { _id: "5f0c" },
    { _id: "ffffffff-ffff-4fff-bfff-ffffffffffff" },
  ])("answers the unknown user %j with 404, and does not make them", async (user, { project }) => {
    expect(await track(project, { user, event: { open: {} } })).toEqual([
      404,
      refusal("User not found", "This email does not exist in our database."),
    ]);
    expect(await project.select("select 1 from recipients")).toHaveLength(1);
  });
});

describe("GET /v1/user/:email", () => {
  test("shows the profile from update and login events, with the latest value of each key", async ({
    project,
    janeId,
  }) => {
    const at = (timestamp: string, event: string, properties: object) => ({
      email: "jane@example.com",
      event,
      timestamp,
      properties,
    });
    await send(project, "POST", "/v1/events/bulk", {
      events: [
        at("2026-11-20T12:00:00Z", "update", { city: "Graz", name: "Jane" }),
        at("2026-11-20T11:00:00Z", "login", { city: "Wien", device: "phone" }),
        at("2026-11-20T13:00:00Z", "viewitem", { city: "Rome" }),
      ],
    });
    await tracked(project, at("2026-11-20T10:00:00Z", "update", { name: "J.", age: 7 }));

    expect(await ask(project, "/v1/user/JANE@example.com")).toEqual([
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

  test("logins of the same people at the same time in opposite orders all pass", async ({ project }) => {
    const people = Array.from({ length: 40 }, (_, n) => `p${n}@example.com`);
    const login = (emails: string[]) =>
      project.request("POST", "/v1/events/bulk", {
        body: { events: emails.map((email) => ({ email, event: "login", properties: { seen: true } })) },
      });

    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) => login(n % 2 === 0 ? people : people.toReversed())),
    );

    expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(201));
  });

  test("is 404 for an unknown address, an invalid one, and another project's", async ({
    project,
    otherProject,
  }) => {
    for (const [email, asker] of [
      ["nobody@example.com", project],
      ["%00", project],
      ["jane@example.com", otherProject],
    ] as const) {
      expect(await ask(asker, `/v1/user/${email}`)).toEqual([
        404,
        refusal("User not found", "This email does not exist in our database."),
      ]);
    }
  });
});
