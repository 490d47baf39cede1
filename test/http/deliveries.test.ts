import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { until } from "../support/wait.ts";
import { type Delivery, WebhookApi } from "./webhook-api.ts";

const api = new WebhookApi();
const { request, add, send, deliveriesOf, deliveryStates, stateIs } = api;

describe("deliveries", () => {
  test("are listed by state and event time, page by page, with their responses", async () => {
    api.answer = () => ({ status: 500, body: "out of order" });
    const endpoint = await add();
    await send();
    await stateIs(endpoint, "retrying");
    await api.database.db.query("update deliveries set due_at = now() + interval '1 hour'");
    api.answer = () => ({ status: 204 });
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

  test("are listed by the time, status and failure of their last attempt, page by page", async () => {
    const endpoint = await add();
    for (const status of [204, 500, 503, 429]) {
      api.answer = () => ({ status });
      await send();
      await until(
        `${status} is answered`,
        async () => (await deliveriesOf(endpoint, `?status_code=${status}`)).length === 1,
      );
      await api.database.db.query("update webhook_lanes set paused_until = null");
    }
    await api.service.request("POST", `/v1/webhooks/${endpoint.id}/disable`);
    await send();
    const [first] = await deliveriesOf(endpoint, "?status_code=204");
    api.answer = () => ({ status: 400 });
    await api.service.request("POST", `/v1/deliveries/${first?.id}/resend`);
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

  test("of an unknown state or id are rejected", async () => {
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
  test("that fails does not change the schedule, and one that succeeds ends the delivery", async () => {
    api.answer = () => ({ status: 500 });
    const endpoint = await add();
    await send();
    await stateIs(endpoint, "retrying");
    const [before] = await deliveriesOf(endpoint);
    await api.database.db.query("update deliveries set due_at = now() + interval '1 hour' where id = $1", [
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
    const [row] = await api.database.db.query("select schedule_step from deliveries where id = $1", [
      before?.id,
    ]);
    expect(row).toEqual({ schedule_step: 1 });

    api.answer = () => ({ status: 200 });
    const succeeded = await request<Delivery>("POST", `/v1/deliveries/${before?.id}/resend`);
    expect(succeeded.body.data).toMatchObject({ state: "succeeded", attempts: 3, next_attempt_at: null });
    expect(api.sink.received.map(({ headers }) => headers["x-fanmail-attempt"])).toEqual(["1", "2", "3"]);
    expect(new Set(api.sink.received.map(({ body }) => body)).size).toBe(1);
  });

  test("of a succeeded delivery is posted, and the delivery stays succeeded even if it fails", async () => {
    const endpoint = await add();
    await send();
    await stateIs(endpoint, "succeeded");
    api.answer = () => ({ status: 500 });
    const [delivery] = await deliveriesOf(endpoint);

    const { body } = await request<Delivery>("POST", `/v1/deliveries/${delivery?.id}/resend`);

    expect(body.data).toMatchObject({ state: "succeeded", attempts: 2 });
    expect(api.sink.received).toHaveLength(2);
  });
});

test("an ordered lane continues to wait for its first delivery when another is resent, and stops waiting when the first is", async () => {
  api.answer = () => ({ status: 500 });
  const endpoint = await add({ ordered: true });
  await send();
  await send();
  const byState = async (state: string) => (await deliveriesOf(endpoint, `?state=${state}`))[0]?.id;
  await until("the first has failed", async () => (await byState("retrying")) !== undefined);
  await api.database.db.query("update webhook_lanes set paused_until = now() + interval '1 hour'");
  const [first, second] = [await byState("retrying"), await byState("pending")];
  const pausedUntil = async () => {
    const { data } = (await request("GET", `/v1/webhooks/${endpoint.id}`)).body;
    return (data["health"] as { paused_until: string | null }).paused_until;
  };
  api.answer = () => ({ status: 204 });

  await request("POST", `/v1/deliveries/${second}/resend`);
  expect(await pausedUntil()).not.toBeNull();
  await request("POST", `/v1/deliveries/${first}/resend`);
  expect(await pausedUntil()).toBeNull();
});

test("/metrics counts due and leased deliveries, the age of the oldest, and attempts by outcome", async () => {
  api.answer = () => ({ status: 500 });
  const endpoint = await add();
  await send();
  await stateIs(endpoint, "retrying");
  await api.database.db.query(
    `with lane as (update webhook_lanes set paused_until = now() + interval '1 hour')
     update deliveries set created_at = now() - interval '90 seconds', due_at = now() - interval '90 seconds'
     where state = 'retrying'`,
  );

  const answered = await fetch(`${api.service.url}/metrics`);
  const text = await answered.text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);

  expect(answered.headers.get("content-type")).toMatch(/^text\/plain/);
  expect(value("fanmail_webhook_deliveries_due")).toBe(1);
  expect(value("fanmail_webhook_deliveries_in_flight")).toBe(0);
  expect(value("fanmail_webhook_oldest_due_seconds")).toBeGreaterThanOrEqual(90);
  expect(value('fanmail_webhook_attempts_total\\{outcome="http_5xx"\\}')).toBeGreaterThanOrEqual(1);
});
