import { randomUUID } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { webhookEventTypes } from "../../src/domain/mail/event-names.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type Answer, type TestSink, webhookSink } from "../support/webhook-sink.ts";
import { feed, newKey } from "./api.ts";

let database: TestDatabase;
let service: TestService;
let sink: TestSink;
let answer: () => Answer;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url });
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});
beforeEach(async () => {
  answer = () => ({ status: 204 });
  sink = await webhookSink(() => answer());
});
afterEach(async () => {
  for (const { id } of await listed()) await service.request("DELETE", `/v1/webhooks/${id}`);
  await sink.close();
});

type Endpoint = Record<string, unknown> & { id: string; secret: string };
type Delivery = Record<string, unknown> & {
  id: string;
  state: string;
  attempt_list: Record<string, unknown>[];
};

async function request<Data = Endpoint>(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Record<string, unknown> & { data: Data; error: string } }> {
  const response = await service.request(method, path, body === undefined ? {} : { body });
  // Whatever the contract allows; each test looks at what it expects.
  const answered = (await response.json()) as Record<string, unknown> & { data: Data; error: string };
  return { status: response.status, body: answered };
}
const listed = async () => (await request<Endpoint[]>("GET", "/v1/webhooks")).body.data;
async function add(fields: Record<string, unknown> = {}): Promise<Endpoint> {
  const { status, body } = await request("POST", "/v1/webhooks", { url: sink.url, ...fields });
  expect([status, body.error]).toEqual([201, undefined]);
  return body.data;
}
const health = { breaker: "closed", paused_until: null, failing_since: null, last_success_at: null };
let sent = 0;
/** Tells of a new email, and waits until what it owes is there. */
async function send(): Promise<void> {
  await feed(service, sesEvent("Send", { messageId: `message-${++sent}` }));
}
const deliveriesOf = async ({ id }: Endpoint, query = "") =>
  (await request<Delivery[]>("GET", `/v1/webhooks/${id}/deliveries${query}`)).body.data;
const deliveryStates = async (endpoint: Endpoint) => (await deliveriesOf(endpoint)).map(({ state }) => state);
const stateIs = (endpoint: Endpoint, ...states: string[]) =>
  until(`deliveries are ${states.join(", ")}`, async () => {
    return JSON.stringify(await deliveryStates(endpoint)) === JSON.stringify(states);
  });

describe("an endpoint", () => {
  test("is added with defaults, shown without its secret, changed, and removed", async () => {
    const { secret, ...added } = await add();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(added).toEqual({
      id: expect.any(String),
      url: sink.url,
      events: ["*"],
      description: null,
      headers: {},
      max_in_flight: 10,
      rate_per_second: null,
      ordered: false,
      legacy_signature: false,
      state: "enabled",
      disabled_reason: null,
      disabled_at: null,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    expect((await request("GET", `/v1/webhooks/${added.id}`)).body).toEqual({
      success: true,
      data: { ...added, health },
    });

    const change = {
      events: ["email.bounce", "email.complaint", "email.bounce"],
      description: "CRM",
      headers: { Authorization: "Bearer x" },
      max_in_flight: 50,
      rate_per_second: 2.5,
      ordered: true,
      legacy_signature: true,
    };
    const changed = await request("PATCH", `/v1/webhooks/${added.id}`, change);
    expect(changed.body.data).toEqual({
      ...added,
      ...change,
      events: ["email.bounce", "email.complaint"],
      headers: { authorization: "[hidden]" },
      updated_at: expect.any(String),
    });
    const again = await request("PATCH", `/v1/webhooks/${added.id}`, { rate_per_second: null });
    expect(again.body.data).toEqual({
      ...changed.body.data,
      rate_per_second: null,
      updated_at: expect.any(String),
    });

    expect((await request("DELETE", `/v1/webhooks/${added.id}`)).body).toEqual({
      success: true,
      cancelled: 0,
    });
    expect((await request("GET", `/v1/webhooks/${added.id}`)).status).toBe(404);
    expect(await listed()).toEqual([]);
  });

  test("is listed with others, the newest first, page by page", async () => {
    const added = [await add(), await add(), await add()].map(({ id }) => id);

    const first = await request<Endpoint[]>("GET", "/v1/webhooks?per_page=2");
    const { next_cursor, total } = first.body["pagination"] as { next_cursor: string; total: number };
    const second = await request<Endpoint[]>("GET", `/v1/webhooks?per_page=2&cursor=${next_cursor}`);
    const ids = [...first.body.data, ...second.body.data].map(({ id }) => id);

    expect(ids).toEqual(added.toReversed());
    expect(total).toBe(3);
  });

  test.each([
    [{}, "url is required"],
    [{ url: 7 }, "url must be a string"],
    [{ url: "http://8.8.8.8/hook" }, /^url must be https: 8\.8\.8\.8 /],
    [{ url: "https://user:pw@example.com/" }, /^url must not hold a user name or password/],
    [{ url: "https://10.0.0.1/" }, /^url is at 10\.0\.0\.1, which is not a public address/],
    [{ url: "https://[::1]/" }, /^url is at ::1, which is not a public address/],
    [{ url: "https://no-such-host.invalid/" }, /^url cannot be resolved/],
    [{ url: "not a url" }, /^url must/],
    [{ url: "ftp://example.com/" }, /^url must/],
    [{ url: "https://example.com:22/" }, /^url must use port/],
  ])("of %j is refused with the reason", async (body, reason) => {
    const { status, body: answered } = await request("POST", "/v1/webhooks", body);

    expect([status, answered.error]).toEqual([
      400,
      typeof reason === "string" ? reason : expect.stringMatching(reason),
    ]);
    expect(await listed()).toEqual([]);
  });

  test("of a URL that is longer than 2,048 characters is refused", async () => {
    const { status, body } = await request("POST", "/v1/webhooks", {
      url: "https://example.com/".padEnd(2_049, "a"),
    });

    expect([status, body.error]).toEqual([400, "url is longer than 2048 characters"]);
  });

  test.each([
    [{ events: ["email.opened"] }, `events[0] must be one of *, ${webhookEventTypes.join(", ")}`],
    [{ events: ["*", "webhook.test"] }, /^events\[1\] must be one of/],
    [{ events: [] }, "events must name at least one type of event, or *"],
    [{ events: "*" }, "events must be an array"],
    [{ headers: { "Webhook-Id": "a" } }, "headers must not set webhook-id, which is reserved"],
    [{ headers: { host: "a" } }, "headers must not set host, which is reserved"],
    [{ headers: { "content-type": "a" } }, "headers must not set content-type, which is reserved"],
    [{ headers: { "x-a": "b\r\nx-c: d" } }, /^headers must have values of/],
    [{ max_in_flight: 0 }, "max_in_flight must be a whole number from 1 to 1000"],
    [{ max_in_flight: 1.5 }, /^max_in_flight must be/],
    [{ rate_per_second: 0 }, "rate_per_second must be a number from 0.001 to 10000"],
    [{ description: "" }, "description must not be empty"],
    [{ ordered: "yes" }, "ordered must be a boolean"],
  ])("with %j is refused, added or changed", async (fields, reason) => {
    const expected = [400, typeof reason === "string" ? reason : expect.stringMatching(reason)];
    const added = await request("POST", "/v1/webhooks", { url: sink.url, ...fields });
    expect([added.status, added.body.error]).toEqual(expected);

    const { id, secret: _, ...before } = await add();
    const changed = await request("PATCH", `/v1/webhooks/${id}`, fields);
    expect([changed.status, changed.body.error]).toEqual(expected);
    expect((await request("GET", `/v1/webhooks/${id}`)).body.data).toEqual({ id, ...before, health });
  });

  test("that is unknown is 404, whatever is asked of it", async () => {
    for (const id of [randomUUID(), "no-uuid"]) {
      for (const [method, path] of [
        ["GET", ""],
        ["PATCH", ""],
        ["DELETE", ""],
        ["POST", "/test"],
        ["POST", "/rotate-secret"],
        ["POST", "/enable"],
        ["POST", "/disable"],
        ["GET", "/deliveries"],
        ["GET", "/replays"],
      ] as const) {
        const body = ["PATCH", "POST"].includes(method) ? {} : undefined;
        const { status, body: answered } = await request(method, `/v1/webhooks/${id}${path}`, body);
        expect([path, status, answered.error]).toEqual([path, 404, "There is no such webhook endpoint"]);
      }
    }
  });

  test("needs webhooks:read to be read and webhooks:write to be changed", async () => {
    const { id } = await add();
    const { key } = await newKey(database.db, { scopes: ["webhooks:read"] });
    const asked = async (method: string, path: string) =>
      (await service.request(method, path, { key, body: {} })).status;

    expect((await service.get(`/v1/webhooks/${id}`, key)).status).toBe(200);
    expect([
      await asked("POST", "/v1/webhooks"),
      await asked("PATCH", `/v1/webhooks/${id}`),
      await asked("POST", `/v1/webhooks/${id}/test`),
      await asked("POST", `/v1/webhooks/${id}/rotate-secret`),
      await asked("DELETE", `/v1/webhooks/${id}`),
    ]).toEqual([403, 403, 403, 403, 403]);
  });

  test("tells how it has been doing", async () => {
    const { id } = await add();
    const healthAfter = async (lane: string) => {
      await database.db.query(`update webhook_lanes set ${lane} where endpoint_id = $1`, [id]);
      return (await request("GET", `/v1/webhooks/${id}`)).body.data["health"];
    };

    expect(await healthAfter("breaker_openings = 2, paused_until = now() + interval '1 minute'")).toEqual({
      ...health,
      breaker: "open",
      paused_until: expect.any(String),
    });
    expect(await healthAfter("paused_until = now() - interval '1 second', failing_since = now()")).toEqual({
      ...health,
      breaker: "half_open",
      failing_since: expect.any(String),
    });
    await request("POST", `/v1/webhooks/${id}/test`);
    expect((await request("GET", `/v1/webhooks/${id}`)).body.data["health"]).toEqual({
      ...health,
      last_success_at: expect.any(String),
    });
  });

  test("takes what is owed to it along to another URL", async () => {
    const elsewhere = await webhookSink(() => ({ status: 204 }));
    answer = () => ({ status: 500 });
    const endpoint = await add();
    await send();
    await stateIs(endpoint, "retrying");
    await request("PATCH", `/v1/webhooks/${endpoint.id}`, { url: elsewhere.url });
    await database.db.query("update deliveries set due_at = now() where state = 'retrying'");
    await stateIs(endpoint, "succeeded");
    await elsewhere.close();

    expect([sink.received.length, elsewhere.received.length]).toEqual([1, 1]);
  });

  test("that is removed leaves what it was owed cancelled", async () => {
    answer = () => ({ status: 500 });
    const endpoint = await add();
    await send();
    await stateIs(endpoint, "retrying");
    const [delivery] = await deliveriesOf(endpoint);

    expect((await request("DELETE", `/v1/webhooks/${endpoint.id}`)).body).toEqual({
      success: true,
      cancelled: 1,
    });

    const read = await request<Delivery>("GET", `/v1/deliveries/${delivery?.id}`);
    expect(read.body.data.state).toBe("cancelled");
    expect((await request("POST", `/v1/deliveries/${delivery?.id}/resend`)).body.error).toBe(
      "The delivery is cancelled",
    );
  });
});

describe("a secret", () => {
  const verify = (secret: string, at = 0) => {
    const { body, headers } = sink.received[at] ?? { body: "", headers: {} };
    return new Webhook(secret).verify(body, headers as Record<string, string>);
  };

  test("that is rotated signs beside the new one until the overlap is over", async () => {
    const endpoint = await add();
    const { body } = await request("POST", `/v1/webhooks/${endpoint.id}/rotate-secret`, { overlap_hours: 1 });
    const rotated = body.data.secret;
    expect(rotated).not.toBe(endpoint.secret);
    await request("POST", `/v1/webhooks/${endpoint.id}/test`);

    expect(sink.received[0]?.headers["webhook-signature"]).toMatch(/^v1,\S{44} v1,\S{44}$/);
    expect(verify(endpoint.secret)).toEqual(verify(rotated));

    await database.db.query(
      "update webhook_secrets set expires_at = now() where endpoint_id = $1 and expires_at is not null",
      [endpoint.id],
    );
    await request("POST", `/v1/webhooks/${endpoint.id}/test`);
    expect(() => verify(endpoint.secret, 1)).toThrow();
    verify(rotated, 1);
  });

  test("of no overlap signs no more at once; an overlap that runs is not made longer", async () => {
    const endpoint = await add();
    const rotate = (hours: number) =>
      request("POST", `/v1/webhooks/${endpoint.id}/rotate-secret`, { overlap_hours: hours });
    const second = (await rotate(1)).body.data.secret;
    await rotate(100);
    const [oldest] = await database.db.query<{ hours: number }>(
      `select extract(epoch from expires_at - now())::float / 3600 as hours from webhook_secrets
       where endpoint_id = $1 order by created_at limit 1`,
      [endpoint.id],
    );
    expect(oldest?.hours).toBeLessThanOrEqual(1);
    const last = (await rotate(0)).body.data.secret;
    await request("POST", `/v1/webhooks/${endpoint.id}/test`);

    verify(last);
    for (const secret of [endpoint.secret, second]) expect(() => verify(secret)).toThrow();
  });

  test("is never in another answer, nor in the database as it is", async () => {
    const endpoint = await add();
    const { body } = await request("POST", `/v1/webhooks/${endpoint.id}/rotate-secret`, {});
    await request("POST", `/v1/webhooks/${endpoint.id}/test`);
    const answers = [];
    for (const path of [
      "/v1/webhooks",
      `/v1/webhooks/${endpoint.id}`,
      `/v1/webhooks/${endpoint.id}/deliveries`,
    ]) {
      answers.push(JSON.stringify((await request("GET", path)).body));
    }
    const rows = await database.db.query(
      "select sealed::text, encode(sealed, 'escape') as text from webhook_secrets",
    );
    for (const secret of [endpoint.secret, body.data.secret]) {
      expect(JSON.stringify([answers, rows])).not.toContain(secret.slice("whsec_".length));
    }
  });

  test.each([[{ overlap_hours: -1 }], [{ overlap_hours: 169 }]])("overlaps by %j: refused", async (body) => {
    const { id } = await add();
    const { status, body: answered } = await request("POST", `/v1/webhooks/${id}/rotate-secret`, body);
    expect([status, answered.error]).toEqual([400, "overlap_hours must be a number of hours from 0 to 168"]);
  });
});

describe("a test", () => {
  test("is posted once, at once, and its answer is shown", async () => {
    answer = () => ({ status: 418, body: "short and stout" });
    const endpoint = await add({ events: ["email.bounce"] });
    const { status, body } = await request<Delivery>("POST", `/v1/webhooks/${endpoint.id}/test`);

    expect(status).toBe(200);
    expect(body.data).toMatchObject({
      event: "webhook.test",
      state: "exhausted",
      attempts: 1,
      next_attempt_at: null,
      payload: { event: "webhook.test", is_test: true, data: { endpoint_id: endpoint.id } },
      attempt_list: [{ number: 1, status: 418, failure: "http_4xx", excerpt: "short and stout" }],
    });
    expect(sink.received).toHaveLength(1);
    new Webhook(endpoint.secret).verify(
      sink.received[0]?.body ?? "",
      sink.received[0]?.headers as Record<string, string>,
    );
  });

  test("that is answered 410 disables the endpoint", async () => {
    answer = () => ({ status: 410 });
    const endpoint = await add();
    const { body } = await request<Delivery>("POST", `/v1/webhooks/${endpoint.id}/test`);

    expect(body.data.state).toBe("exhausted");
    expect((await request("GET", `/v1/webhooks/${endpoint.id}`)).body.data).toMatchObject({
      state: "disabled",
      disabled_reason: "gone",
    });
  });

  test("that fails is not held against the endpoint; one that succeeds ends its failing", async () => {
    answer = () => ({ status: 500 });
    const endpoint = await add();
    const lane = async () => {
      const [row] = await database.db.query(
        `select failing_since is not null as failing, breaker_openings from webhook_lanes where endpoint_id = $1`,
        [endpoint.id],
      );
      return row;
    };
    await request("POST", `/v1/webhooks/${endpoint.id}/test`);
    expect(await lane()).toEqual({ failing: false, breaker_openings: 0 });

    await database.db.query(
      `update webhook_lanes set failing_since = now() - interval '4 days', breaker_openings = 3,
         paused_until = now() + interval '1 hour' where endpoint_id = $1`,
      [endpoint.id],
    );
    answer = () => ({ status: 200 });
    await request("POST", `/v1/webhooks/${endpoint.id}/test`);
    expect(await lane()).toEqual({ failing: false, breaker_openings: 0 });
  });

  test("reaches a disabled endpoint, and leaves it disabled", async () => {
    const endpoint = await add();
    await request("POST", `/v1/webhooks/${endpoint.id}/disable`);
    const { body } = await request<Delivery>("POST", `/v1/webhooks/${endpoint.id}/test`);

    expect(body.data.state).toBe("succeeded");
    expect((await request("GET", `/v1/webhooks/${endpoint.id}`)).body.data["state"]).toBe("disabled");
  });
});

describe("disabling and enabling", () => {
  test("hold what is owed, say how much, and forget failures", async () => {
    answer = () => ({ status: 500 });
    const endpoint = await add();
    await send();
    await stateIs(endpoint, "retrying");
    const disabled = await request("POST", `/v1/webhooks/${endpoint.id}/disable`);
    expect(disabled.body.data).toMatchObject({
      state: "disabled",
      disabled_reason: "manual",
      disabled_at: expect.any(String),
    });
    await send();
    await stateIs(endpoint, "held", "held");

    answer = () => ({ status: 204 });
    const { body } = await request("POST", `/v1/webhooks/${endpoint.id}/enable`);
    expect(body).toMatchObject({
      held: 2,
      held_since: (await deliveriesOf(endpoint)).at(-1)?.["event_timestamp"],
      data: { state: "enabled", disabled_reason: null, disabled_at: null },
    });
    const [lane] = await database.db.query("select failing_since from webhook_lanes where endpoint_id = $1", [
      endpoint.id,
    ]);
    expect(lane).toEqual({ failing_since: null });
    expect(await deliveryStates(endpoint)).toEqual(["held", "held"]);
  });
});

describe("deliveries", () => {
  test("are listed by state and time of event, page by page, with what was answered", async () => {
    answer = () => ({ status: 500, body: "out of order" });
    const endpoint = await add();
    await send();
    await stateIs(endpoint, "retrying");
    await database.db.query("update deliveries set due_at = now() + interval '1 hour'");
    answer = () => ({ status: 204 });
    await send();
    await until("the second succeeds", async () => (await deliveryStates(endpoint)).includes("succeeded"));

    const [retrying] = await deliveriesOf(endpoint, "?state=retrying");
    expect(retrying).toEqual({
      id: expect.any(String),
      webhook_id: endpoint.id,
      event_id: expect.any(String),
      event: "email.send",
      event_timestamp: expect.any(String),
      state: "retrying",
      attempts: 1,
      next_attempt_at: expect.any(String),
      created_at: expect.any(String),
      finished_at: null,
      last_attempt_at: expect.any(String),
      last_status: 500,
      last_failure: "http_5xx",
    });
    const { body } = await request<Delivery>("GET", `/v1/deliveries/${retrying?.id}`);
    expect(body.data).toMatchObject({
      payload: { event: "email.send" },
      attempt_list: [
        {
          number: 1,
          manual: false,
          status: 500,
          failure: "http_5xx",
          message: null,
          excerpt: "out of order",
        },
      ],
    });

    const at = String(retrying?.["event_timestamp"]);
    expect(await deliveriesOf(endpoint, `?since=${at}&until=${at}`)).toHaveLength(2);
    expect(await deliveriesOf(endpoint, `?until=2020-01-01`)).toHaveLength(0);
    const page = (cursor?: string) =>
      request<Delivery[]>(
        "GET",
        `/v1/webhooks/${endpoint.id}/deliveries?per_page=1${cursor ? `&cursor=${cursor}` : ""}`,
      );
    const first = await page();
    const second = await page((first.body["pagination"] as { next_cursor: string }).next_cursor);
    expect([first, second].flatMap((one) => one.body.data.map(({ id }) => id))).toEqual(
      (await deliveriesOf(endpoint)).map(({ id }) => id),
    );
  });

  test("are listed by their last attempt, by its status and by what failed, page by page", async () => {
    const endpoint = await add();
    for (const status of [204, 500, 503, 429]) {
      answer = () => ({ status });
      await send();
      await until(
        `${status} is answered`,
        async () => (await deliveriesOf(endpoint, `?status_code=${status}`)).length === 1,
      );
      await database.db.query("update webhook_lanes set paused_until = null");
    }
    await service.request("POST", `/v1/webhooks/${endpoint.id}/disable`);
    await send();
    const [first] = await deliveriesOf(endpoint, "?status_code=204");
    answer = () => ({ status: 400 });
    await service.request("POST", `/v1/deliveries/${first?.id}/resend`);
    const list = async (query: string) =>
      (await deliveriesOf(endpoint, query)).map(({ last_status: status }) => status);

    expect(await list("?order=attempted")).toEqual([400, 429, 503, 500]);
    expect(new Set(await list(""))).toEqual(new Set([null, 429, 503, 500, 400]));
    expect(await list("?order=attempted&failure=any&state=succeeded")).toEqual([400]);
    expect(await list("?order=attempted&failure=http_5xx")).toEqual([503, 500]);
    expect(new Set(await list("?status_code=5XX&order=event"))).toEqual(new Set([503, 500]));
    expect(await list("?status_code=500")).toEqual([500]);
    expect(await list("?failure=timeout")).toEqual([]);

    const pages: unknown[] = [];
    let cursor = "";
    do {
      const path = `/v1/webhooks/${endpoint.id}/deliveries?order=attempted&per_page=1${cursor}`;
      const { body } = await request<Delivery[]>("GET", path);
      pages.push(...body.data.map(({ last_status }) => last_status));
      const { total, next_cursor } = body["pagination"] as { total: number; next_cursor: string | null };
      expect(total).toBe(4);
      cursor = next_cursor === null ? "" : `&cursor=${next_cursor}`;
    } while (cursor !== "");
    expect(pages).toEqual([400, 429, 503, 500]);
  });

  test.each([
    ["order=oldest", "order must be one of event, attempted"],
    ["status_code=6xx", "status_code must be a status such as 503, or a class such as 5xx"],
    [
      "failure=x",
      "failure must be one of http_3xx, http_4xx, http_5xx, timeout, dns, tls, connection, blocked, any",
    ],
  ])("are not listed by %s", async (query, problem) => {
    const { id } = await add();
    const { status, body } = await request("GET", `/v1/webhooks/${id}/deliveries?${query}`);
    expect([status, body.error]).toEqual([400, problem]);
  });

  test("of an unknown state or id are refused", async () => {
    const { id } = await add();
    const unknown = await request("GET", `/v1/webhooks/${id}/deliveries?state=lost`);
    expect([unknown.status, unknown.body.error]).toEqual([
      400,
      "state must be one of pending, leased, succeeded, retrying, exhausted, held, cancelled",
    ]);
    for (const [method, path] of [
      ["GET", ""],
      ["POST", "/resend"],
    ] as const) {
      for (const one of [randomUUID(), "x"]) {
        const { status, body } = await request(method, `/v1/deliveries/${one}${path}`);
        expect([status, body.error]).toEqual([404, "There is no such delivery"]);
      }
    }
  });
});

describe("a resend", () => {
  test("that fails leaves the schedule alone, and one that succeeds ends the delivery", async () => {
    answer = () => ({ status: 500 });
    const endpoint = await add();
    await send();
    await stateIs(endpoint, "retrying");
    const [before] = await deliveriesOf(endpoint);
    await database.db.query("update deliveries set due_at = now() + interval '1 hour' where id = $1", [
      before?.id,
    ]);
    const [scheduled] = await deliveriesOf(endpoint);

    const failed = await request<Delivery>("POST", `/v1/deliveries/${before?.id}/resend`);
    expect(failed.body.data).toMatchObject({
      state: "retrying",
      attempts: 2,
      next_attempt_at: scheduled?.["next_attempt_at"],
      attempt_list: [
        { number: 1, manual: false },
        { number: 2, manual: true, status: 500, failure: "http_5xx" },
      ],
    });
    const [row] = await database.db.query("select schedule_step from deliveries where id = $1", [before?.id]);
    expect(row).toEqual({ schedule_step: 1 });

    answer = () => ({ status: 200 });
    const succeeded = await request<Delivery>("POST", `/v1/deliveries/${before?.id}/resend`);
    expect(succeeded.body.data).toMatchObject({ state: "succeeded", attempts: 3, next_attempt_at: null });
    expect(sink.received.map(({ headers }) => headers["x-fanmail-attempt"])).toEqual(["1", "2", "3"]);
    expect(new Set(sink.received.map(({ body }) => body)).size).toBe(1);
  });

  test("of what was delivered goes out again, and it stays delivered whatever comes of it", async () => {
    const endpoint = await add();
    await send();
    await stateIs(endpoint, "succeeded");
    answer = () => ({ status: 500 });
    const [delivery] = await deliveriesOf(endpoint);

    const { body } = await request<Delivery>("POST", `/v1/deliveries/${delivery?.id}/resend`);

    expect(body.data).toMatchObject({ state: "succeeded", attempts: 2 });
    expect(sink.received).toHaveLength(2);
  });
});

test("an ordered lane goes on waiting for its first delivery when another is resent, and ends when that one is", async () => {
  answer = () => ({ status: 500 });
  const endpoint = await add({ ordered: true });
  await send();
  await send();
  const byState = async (state: string) => (await deliveriesOf(endpoint, `?state=${state}`))[0]?.id;
  await until("the first has failed", async () => (await byState("retrying")) !== undefined);
  await database.db.query("update webhook_lanes set paused_until = now() + interval '1 hour'");
  const [first, second] = [await byState("retrying"), await byState("pending")];
  const pausedUntil = async () => {
    const { data } = (await request("GET", `/v1/webhooks/${endpoint.id}`)).body;
    return (data["health"] as { paused_until: string | null }).paused_until;
  };
  answer = () => ({ status: 204 });

  await request("POST", `/v1/deliveries/${second}/resend`);
  expect(await pausedUntil()).not.toBeNull();
  await request("POST", `/v1/deliveries/${first}/resend`);
  expect(await pausedUntil()).toBeNull();
});

test("/metrics tells what is due, on its way and for how long, and what came of attempts", async () => {
  answer = () => ({ status: 500 });
  const endpoint = await add();
  await send();
  await stateIs(endpoint, "retrying");
  await database.db.query(
    `with lane as (update webhook_lanes set paused_until = now() + interval '1 hour')
     update deliveries set created_at = now() - interval '90 seconds', due_at = now() - interval '90 seconds'
     where state = 'retrying'`,
  );

  const answered = await fetch(`${service.url}/metrics`);
  const text = await answered.text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);

  expect(answered.headers.get("content-type")).toMatch(/^text\/plain/);
  expect(value("fanmail_webhook_deliveries_due")).toBe(1);
  expect(value("fanmail_webhook_deliveries_in_flight")).toBe(0);
  expect(value("fanmail_webhook_oldest_due_seconds")).toBeGreaterThanOrEqual(90);
  expect(value('fanmail_webhook_attempts_total\\{outcome="http_5xx"\\}')).toBeGreaterThanOrEqual(1);
});
