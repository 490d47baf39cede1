import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { webhookEventTypes } from "../../src/domain/mail/event-names.ts";
import { webhookSink } from "../support/webhook-sink.ts";
import { type Delivery, type Endpoint, health, test } from "./webhook-api.ts";

describe("an endpoint", () => {
  test("is added with defaults, shown without its secret, changed, and removed", async ({ api, sink }) => {
    const { secret, ...added } = await api.add();
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
    expect((await api.request("GET", `/v1/webhooks/${added.id}`)).body).toEqual({
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
    const changed = await api.request("PATCH", `/v1/webhooks/${added.id}`, change);
    expect(changed.body.data).toEqual({
      ...added,
      ...change,
      events: ["email.bounce", "email.complaint"],
      headers: { authorization: "[hidden]" },
      updated_at: expect.any(String),
    });
    const again = await api.request("PATCH", `/v1/webhooks/${added.id}`, { rate_per_second: null });
    expect(again.body.data).toEqual({
      ...changed.body.data,
      rate_per_second: null,
      updated_at: expect.any(String),
    });

    expect((await api.request("DELETE", `/v1/webhooks/${added.id}`)).body).toEqual({
      success: true,
      cancelled: 0,
    });
    expect((await api.request("GET", `/v1/webhooks/${added.id}`)).status).toBe(404);
    expect(await api.listed()).toEqual([]);
  });

  test("is listed with others, newest first, page by page", async ({ api }) => {
    const added = [await api.add(), await api.add(), await api.add()].map(({ id }) => id);

    const first = await api.request<Endpoint[]>("GET", "/v1/webhooks?per_page=2");
    const { next_cursor, total } = first.body["pagination"] as { next_cursor: string; total: number };
    const second = await api.request<Endpoint[]>("GET", `/v1/webhooks?per_page=2&cursor=${next_cursor}`);
    const ids = [...first.body.data, ...second.body.data].map(({ id }) => id);

    expect(ids).toEqual(added.toReversed());
    expect(total).toBe(3);
  });

  test.for<[object, string | RegExp]>([
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
  ])("with %j is rejected with the reason", async ([body, reason], { api }) => {
    const { status, body: answered } = await api.request("POST", "/v1/webhooks", body);

    expect([status, answered.error]).toEqual([
      400,
      typeof reason === "string" ? reason : expect.stringMatching(reason),
    ]);
    expect(await api.listed()).toEqual([]);
  });

  test("with a URL longer than 2,048 characters is rejected", async ({ api }) => {
    const { status, body } = await api.request("POST", "/v1/webhooks", {
      url: "https://example.com/".padEnd(2_049, "a"),
    });

    expect([status, body.error]).toEqual([400, "url is longer than 2048 characters"]);
  });

  test.for<[object, string | RegExp]>([
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
  ])("with %j is rejected when it is added or changed", async ([fields, reason], { api, sink }) => {
    const expected = [400, typeof reason === "string" ? reason : expect.stringMatching(reason)];
    const added = await api.request("POST", "/v1/webhooks", { url: sink.url, ...fields });
    expect([added.status, added.body.error]).toEqual(expected);

    const { id, secret: _, ...before } = await api.add();
    const changed = await api.request("PATCH", `/v1/webhooks/${id}`, fields);
    expect([changed.status, changed.body.error]).toEqual(expected);
    expect((await api.request("GET", `/v1/webhooks/${id}`)).body.data).toEqual({ id, ...before, health });
  });

  test("that is unknown is 404 in every operation", async ({ api }) => {
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
        const { status, body: answered } = await api.request(method, `/v1/webhooks/${id}${path}`, body);
        expect([path, status, answered.error]).toEqual([path, 404, "There is no such webhook endpoint"]);
      }
    }
  });

  test("needs webhooks:read to be read and webhooks:write to be changed", async ({ api, project }) => {
    const { id } = await api.add();
    const key = await project.keyWith("webhooks:read");
    const asked = async (method: string, path: string) =>
      (await project.request(method, path, { key, body: {} })).status;

    expect((await project.get(`/v1/webhooks/${id}`, key)).status).toBe(200);
    expect([
      await asked("POST", "/v1/webhooks"),
      await asked("PATCH", `/v1/webhooks/${id}`),
      await asked("POST", `/v1/webhooks/${id}/test`),
      await asked("POST", `/v1/webhooks/${id}/rotate-secret`),
      await asked("DELETE", `/v1/webhooks/${id}`),
    ]).toEqual([403, 403, 403, 403, 403]);
  });

  test("shows its health", async ({ api, database }) => {
    const { id } = await api.add();
    const healthAfter = async (lane: string) => {
      await database.db.query(`update webhook_lanes set ${lane} where endpoint_id = $1`, [id]);
      return (await api.request("GET", `/v1/webhooks/${id}`)).body.data["health"];
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
    await api.request("POST", `/v1/webhooks/${id}/test`);
    expect((await api.request("GET", `/v1/webhooks/${id}`)).body.data["health"]).toEqual({
      ...health,
      last_success_at: expect.any(String),
    });
  });

  test("gets its due deliveries at its new URL", async ({ api, sink, database }) => {
    const elsewhere = await webhookSink(() => ({ status: 204 }));
    const endpoint = await api.addFailing();
    await api.request("PATCH", `/v1/webhooks/${endpoint.id}`, { url: elsewhere.url });
    await database.db.query("update deliveries set due_at = now() where endpoint_id = $1", [endpoint.id]);
    await api.stateIs(endpoint, "succeeded");
    await elsewhere.close();

    expect([sink.received.length, elsewhere.received.length]).toEqual([1, 1]);
  });

  test("that is removed has its deliveries cancelled", async ({ api }) => {
    const endpoint = await api.addFailing();
    const [delivery] = await api.deliveriesOf(endpoint);

    expect((await api.request("DELETE", `/v1/webhooks/${endpoint.id}`)).body).toEqual({
      success: true,
      cancelled: 1,
    });

    const read = await api.request<Delivery>("GET", `/v1/deliveries/${delivery?.id}`);
    expect(read.body.data.state).toBe("cancelled");
    expect((await api.request("POST", `/v1/deliveries/${delivery?.id}/resend`)).body.error).toBe(
      "The delivery is cancelled",
    );
  });
});
