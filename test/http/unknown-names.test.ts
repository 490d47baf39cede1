import { request } from "node:http";
import { text } from "node:stream/consumers";
import { describe, expect } from "vitest";
import { newProject, projectTest, type TestProject } from "../support/project-test.ts";
import type { TestService } from "../support/service.ts";
import { ask, send, tracked } from "./api.ts";

/** `shop` knows three events. */
const test = projectTest({ roles: { receiver: true, workers: false } }).extend(
  "shop",
  { scope: "file" },
  async ({ service }) => {
    const project = await newProject(service);
    const events = [
      { email: "jane+shop@example.com", event: "Order placed", timestamp: "2026-04-10T00:00:00Z" },
      { email: "joe@example.com", event: "login", timestamp: "2026-04-10T23:59:59.999Z" },
      { email: "joe@example.com", event: "login", timestamp: "2026-04-11T00:00:00Z" },
    ];
    expect((await send(project, "POST", "/v1/events/bulk", { events }))[0]).toBe(201);
    return project;
  },
);

const count = async (project: TestProject, query: string) => {
  const [status, body] = await ask(project, `/v1/events?${query}`);
  return status === 200 ? (body as { data: unknown[] }).data.length : status;
};

describe("a parameter that is not understood is refused", () => {
  test.for<[string, string]>([
    [
      "/v1/events?filter[foo]=x",
      "filter[foo] is not a parameter of GET /v1/events, which takes page, per_page, cursor, email,",
    ],
    ["/v1/events?event[]=login", "event[] is not a parameter of"],
    ["/v1/events?filter%5Btype%5D=x", "GET /emailit/v1/events takes filter[type]"],
    ["/v1/events?Event=login", "Event is not a parameter of"],
    ["/v1/events?events=login", "events is not a parameter of"],
    ["/v1/events?evnet=login", "evnet is not a parameter of"],
    ["/v1/events?status=sent", "GET /v1/activity takes status"],
    ["/v1/events?perPage=1", "perPage is not a parameter of"],
    ["/v1/events?recipient_id=1", "recipient_id is not a parameter of"],
    ["/v1/activity?created_after=2026-01-01", "created_after is not a parameter of"],
    ["/v1/activity?campaignId=1", "GET /api/v1/sends takes campaignId"],
    ["/v1/activity?message-id=1", "message-id is not a parameter of"],
    ["/v1/activity.csv?stats=sent", "stats is not a parameter of GET /v1/activity.csv"],
    ["/v1/suppressions?reasons=bounce", "reasons is not a parameter of"],
    ["/v1/activity/1?includes=events", "includes is not a parameter of"],
    ["/v1/webhooks?limit=1", "limit is not a parameter of"],
  ])("GET %s", async ([path, error], { shop }) => {
    expect(await ask(shop, path)).toEqual([400, { error: expect.stringContaining(error) }]);
  });

  test("in the words of each API", async ({ shop }) => {
    expect(await ask(shop, "/emailit/v1/events?filter[foo]=x")).toEqual([
      400,
      expect.objectContaining({ statusCode: 400, message: expect.stringContaining("filter[type]") }),
    ]);
    expect(await ask(shop, "/api/v1/sends?campaign_id=x")).toEqual([
      400,
      { error: { code: "invalid_request", message: expect.stringContaining("campaignId") } },
    ]);
  });

  test.for([
    "utm_source=a",
    "utm_id=7",
    "_=1",
    "t=1",
    "cb=x",
    "v=2",
    "gclid=x",
    "nonce=1",
    "colour=red&colour=blue",
    "api_key=x",
  ])("but %s is foreign, and ignored", async (query, { shop }) => {
    expect(await count(shop, query)).toBe(3);
  });

  test("a replay whose limit is misspelled is not made", async ({ project }) => {
    const { id } = await project.addEndpoint("http://127.0.0.1:9999/");
    for (const wrong of ["dryRun", "dry-run", "untill", "event"]) {
      const body = { since: "2026-01-01", scope: "all", [wrong]: true };
      const answer = await send(project, "POST", `/v1/webhooks/${id}/replays`, body);
      expect([wrong, ...answer]).toEqual([
        wrong,
        400,
        { error: expect.stringContaining(`${wrong} is not known; the fields are since, until,`) },
      ]);
    }
    const body = {
      since: "2026-01-01",
      until: null,
      events: null,
      scope: "all",
      dry_run: true,
      comment: "x",
    };
    expect((await send(project, "POST", `/v1/webhooks/${id}/replays`, body))[0]).toBe(202);
  });
});

describe("a query that is not encoded", () => {
  test.for<[string, string]>([
    ["event=%", "event is not URL-encoded UTF-8"],
    ["event=%ff", "event is not URL-encoded UTF-8"],
    ["event=100%25%", "event is not URL-encoded UTF-8"],
    ["email=%ED%A0%80@example.com", "email is not URL-encoded UTF-8"],
    ["%zz=1", "The query is not URL-encoded UTF-8"],
    ["email=+jane@example.com", "email must not begin or end with a space; write %2B for a plus"],
  ])("%s is refused", async ([query, error], { shop }) => {
    expect(await ask(shop, `/v1/events?${query}`)).toEqual([400, { error: expect.stringContaining(error) }]);
  });

  test.for<[string, number]>([
    ["email=jane+shop@example.com", 1],
    ["email=jane%2Bshop%40example.com", 1],
    ["email=jane%20shop@example.com", 1],
    ["event=Order+placed", 1],
    ["event=Order%20placed", 1],
    ["&&event=login&", 2],
  ])("%s finds %i", async ([query, found], { shop }) => {
    expect(await count(shop, query)).toBe(found);
  });

  test("a filter behind a thousand other parameters counts", async ({ shop }) => {
    expect(await count(shop, `${"a&".repeat(1_500)}event=login`)).toBe(2);
  });
});

/** As fetch does not: with a body. */
async function askWithBody(
  { url }: TestService,
  { key }: TestProject,
  method: string,
  path: string,
  body: string,
  headers = {},
): Promise<[number, unknown]> {
  return new Promise((resolve, reject) => {
    const length = { "content-length": Buffer.byteLength(body) };
    const sent = request(url + path, {
      method,
      headers: { authorization: key, ...("transfer-encoding" in headers ? {} : length), ...headers },
    });
    sent.on("error", reject);
    sent.on("response", async (answer) => resolve([answer.statusCode ?? 0, JSON.parse(await text(answer))]));
    sent.end(body);
  });
}

describe("a body where none is read", () => {
  const body = '{"email":"joe@example.com"}';
  test.for<[string, string]>([
    ["GET", "/v1/events"],
    ["GET", "/v1/activity"],
    ["GET", "/v1/suppressions.csv"],
    ["DELETE", "/v1/recipients/joe@example.com"],
  ])("is refused: %s %s", async ([method, path], { shop, service }) => {
    const refused = [400, { error: `A ${method} takes no body; put parameters into the URL` }];
    expect(await askWithBody(service, shop, method, path, body)).toEqual(refused);
    expect(await askWithBody(service, shop, method, path, body, { "transfer-encoding": "chunked" })).toEqual(
      refused,
    );
  });

  test.for(["", "{}", "null"])("may be %j", async (nothing, { shop, service }) => {
    expect((await askWithBody(service, shop, "GET", "/v1/events", nothing))[0]).toBe(200);
  });

  test("is Emailit's way to give parameters", async ({ shop, service }) => {
    const given = { per_page: 1, page: 1, "filter[type]": "login" };
    for (const one of [given, { per_page: "1", page: null, filter: { type: "login" } }]) {
      expect(await askWithBody(service, shop, "GET", "/emailit/v1/events", JSON.stringify(one))).toEqual([
        200,
        {
          data: [expect.objectContaining({ type: "login" })],
          next_page_url: "/emailit/v1/events?page=2&per_page=1&filter[type]=login",
          previous_page_url: null,
        },
      ]);
    }
    for (const [path, wrong] of [
      ["/emailit/v1/events", '{"filter[foo]":"x"}'],
      ["/emailit/v1/events", '{"page":"x"}'],
      ["/emailit/v1/events", "page=1"],
      ["/emailit/v1/events", '["page"]'],
      ["/emailit/v1/events?page=1", '{"page":1}'],
      ["/emailit/v1/events/1", '{"page":1}'],
    ] as const) {
      expect([path, wrong, (await askWithBody(service, shop, "GET", path, wrong))[0]]).toEqual([
        path,
        wrong,
        400,
      ]);
    }
  });
});

describe("times", () => {
  test.for(["2026-04-10T15:00Z", "2026-04-10T15:00:00+0000", "2026-04-10t15:00:00z", "2026-W15-5T17+02"])(
    "%s is a time everywhere",
    async (time, { project }) => {
      const { event_id } = await tracked(project, { email: "time@example.com", event: "x", timestamp: time });
      expect(await ask(project, `/v1/events/${event_id}`)).toMatchObject([
        200,
        { data: { timestamp: "2026-04-10T15:00:00.000Z" } },
      ]);
      const at = encodeURIComponent(time);
      expect(await count(project, `event=x&since=${at}&until=${at}`)).toBe(1);
      expect((await ask(project, `/api/v1/sends?since=${at}`))[0]).toBe(200);
    },
  );

  test("a period from a day to the same day is that day", async ({ shop }) => {
    expect(await count(shop, "event=login&since=2026-04-10&until=2026-04-10")).toBe(1);
    expect(await count(shop, "event=login&since=2026-04-10&until=2026-04-11")).toBe(2);
    expect(await count(shop, "event=login&since=2026-04-10&until=2026-04-10T00:00:00Z")).toBe(0);
  });

  test("the plus of an offset need not be encoded", async ({ shop }) => {
    expect(await count(shop, "event=login&since=2026-04-11T02:00:00+02:00")).toBe(1);
  });

  test("a day that no calendar has is refused", async ({ shop }) => {
    expect(await count(shop, "since=2026-02-30")).toBe(400);
  });
});
