import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { until } from "../support/wait.ts";
import { type Delivery, test } from "./webhook-api.ts";

describe("deliveries", () => {
  test("are listed by state and event time, page by page, with their responses", async ({
    api,
    sink,
    database,
  }) => {
    const endpoint = await api.addFailing();
    await database.db.query(
      "update deliveries set due_at = now() + interval '1 hour' where endpoint_id = $1",
      [endpoint.id],
    );
    sink.answer = () => ({ status: 204 });
    await api.send();
    await until("the second succeeds", async () =>
      (await api.deliveryStates(endpoint)).includes("succeeded"),
    );

    const [retrying] = await api.deliveriesOf(endpoint, "?state=retrying");
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
    const { body } = await api.request<Delivery>("GET", `/v1/deliveries/${retrying?.id}`);
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
    expect(await api.deliveriesOf(endpoint, `?since=${at}&until=${at}`)).toHaveLength(2);
    expect(await api.deliveriesOf(endpoint, `?until=2020-01-01`)).toHaveLength(0);
    const page = (cursor?: string) =>
      api.request<Delivery[]>(
        "GET",
        `/v1/webhooks/${endpoint.id}/deliveries?per_page=1${cursor ? `&cursor=${cursor}` : ""}`,
      );
    const first = await page();
    const second = await page((first.body["pagination"] as { next_cursor: string }).next_cursor);
    expect([first, second].flatMap((one) => one.body.data.map(({ id }) => id))).toEqual(
      (await api.deliveriesOf(endpoint)).map(({ id }) => id),
    );
  });

  test("are listed by the time, status and failure of their last attempt, page by page", async ({
    api,
    project,
    sink,
    database,
  }) => {
    const endpoint = await api.add();
    for (const status of [204, 500, 503, 429]) {
      sink.answer = () => ({ status });
      await api.send();
      await until(
        `${status} is answered`,
        async () => (await api.deliveriesOf(endpoint, `?status_code=${status}`)).length === 1,
      );
      await database.db.query("update webhook_lanes set paused_until = null where endpoint_id = $1", [
        endpoint.id,
      ]);
    }
    await project.request("POST", `/v1/webhooks/${endpoint.id}/disable`);
    await api.send();
    const [first] = await api.deliveriesOf(endpoint, "?status_code=204");
    sink.answer = () => ({ status: 400 });
    await project.request("POST", `/v1/deliveries/${first?.id}/resend`);
    const list = async (query: string) =>
      (await api.deliveriesOf(endpoint, query)).map(({ last_status: status }) => status);

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
      const { body } = await api.request<Delivery[]>("GET", path);
      pages.push(...body.data.map(({ last_status }) => last_status));
      const { total, next_cursor } = body["pagination"] as { total: number; next_cursor: string | null };
      expect(total).toBe(4);
      cursor = next_cursor === null ? "" : `&cursor=${next_cursor}`;
    } while (cursor !== "");
    expect(pages).toEqual([400, 429, 503, 500]);
  });

  test.for([
    ["order=oldest", "order must be one of event, attempted"],
    ["status_code=6xx", "status_code must be a status such as 503, or a class such as 5xx"],
    [
      "failure=x",
      "failure must be one of http_3xx, http_4xx, http_5xx, timeout, dns, tls, connection, blocked, any",
    ],
  ])("are not listed by %s", async ([query, problem], { api }) => {
    const { id } = await api.add();
    const { status, body } = await api.request("GET", `/v1/webhooks/${id}/deliveries?${query}`);
    expect([status, body.error]).toEqual([400, problem]);
  });

  test("of an unknown state or id are rejected", async ({ api }) => {
    const { id } = await api.add();
    const unknown = await api.request("GET", `/v1/webhooks/${id}/deliveries?state=lost`);
    expect([unknown.status, unknown.body.error]).toEqual([
      400,
      "state must be one of pending, leased, succeeded, retrying, exhausted, held, cancelled",
    ]);
    for (const [method, path] of [
      ["GET", ""],
      ["POST", "/resend"],
    ] as const) {
      for (const one of [randomUUID(), "x"]) {
        const { status, body } = await api.request(method, `/v1/deliveries/${one}${path}`);
        expect([status, body.error]).toEqual([404, "There is no such delivery"]);
      }
    }
  });
});

describe("a resend", () => {
  test("that fails does not change the schedule, and one that succeeds ends the delivery", async ({
    api,
    sink,
    database,
  }) => {
    const endpoint = await api.addFailing();
    const [before] = await api.deliveriesOf(endpoint);
    await database.db.query("update deliveries set due_at = now() + interval '1 hour' where id = $1", [
      before?.id,
    ]);
    const [scheduled] = await api.deliveriesOf(endpoint);

    const failed = await api.request<Delivery>("POST", `/v1/deliveries/${before?.id}/resend`);
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

    sink.answer = () => ({ status: 200 });
    const succeeded = await api.request<Delivery>("POST", `/v1/deliveries/${before?.id}/resend`);
    expect(succeeded.body.data).toMatchObject({ state: "succeeded", attempts: 3, next_attempt_at: null });
    expect(sink.received.map(({ headers }) => headers["x-fanmail-attempt"])).toEqual(["1", "2", "3"]);
    expect(new Set(sink.received.map(({ body }) => body)).size).toBe(1);
  });

  test("of a succeeded delivery is posted, and the delivery stays succeeded even if it fails", async ({
    api,
    sink,
  }) => {
    const endpoint = await api.add();
    await api.send();
    await api.stateIs(endpoint, "succeeded");
    sink.answer = () => ({ status: 500 });
    const [delivery] = await api.deliveriesOf(endpoint);

    const { body } = await api.request<Delivery>("POST", `/v1/deliveries/${delivery?.id}/resend`);

    expect(body.data).toMatchObject({ state: "succeeded", attempts: 2 });
    expect(sink.received).toHaveLength(2);
  });
});

test("an ordered lane continues to wait for its first delivery when another is resent, and stops waiting when the first is", async ({
  api,
  sink,
  database,
}) => {
  sink.answer = () => ({ status: 500 });
  const endpoint = await api.add({ ordered: true });
  await api.send();
  await api.send();
  const byState = async (state: string) => (await api.deliveriesOf(endpoint, `?state=${state}`))[0]?.id;
  await until("the first has failed", async () => (await byState("retrying")) !== undefined);
  await database.db.query(
    "update webhook_lanes set paused_until = now() + interval '1 hour' where endpoint_id = $1",
    [endpoint.id],
  );
  const [first, second] = [await byState("retrying"), await byState("pending")];
  const pausedUntil = async () => {
    const { data } = (await api.request("GET", `/v1/webhooks/${endpoint.id}`)).body;
    return (data["health"] as { paused_until: string | null }).paused_until;
  };
  sink.answer = () => ({ status: 204 });

  await api.request("POST", `/v1/deliveries/${second}/resend`);
  expect(await pausedUntil()).not.toBeNull();
  await api.request("POST", `/v1/deliveries/${first}/resend`);
  expect(await pausedUntil()).toBeNull();
});

test("/metrics counts due and leased deliveries, the age of the oldest, and attempts by outcome", async ({
  api,
  database,
  service,
}) => {
  const endpoint = await api.addFailing();
  await database.db.query(
    `with lane as (update webhook_lanes set paused_until = now() + interval '1 hour' where endpoint_id = $1)
     update deliveries set created_at = now() - interval '90 seconds', due_at = now() - interval '90 seconds'
     where endpoint_id = $1`,
    [endpoint.id],
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
