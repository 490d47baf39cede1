import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { type Delivery, WebhookApi } from "./webhook-api.ts";

const api = new WebhookApi();
const { request, add, send, deliveriesOf, deliveryStates, stateIs } = api;

describe("a secret", () => {
  const verify = (secret: string, at = 0) => {
    const { body, headers } = api.sink.received[at] ?? { body: "", headers: {} };
    return new Webhook(secret).verify(body, headers as Record<string, string>);
  };

  test("that was rotated also signs until the overlap ends", async () => {
    const endpoint = await add();
    const { body } = await request("POST", `/v1/webhooks/${endpoint.id}/rotate-secret`, { overlap_hours: 1 });
    const rotated = body.data.secret;
    expect(rotated).not.toBe(endpoint.secret);
    await request("POST", `/v1/webhooks/${endpoint.id}/test`);

    expect(api.sink.received[0]?.headers["webhook-signature"]).toMatch(/^v1,\S{44} v1,\S{44}$/);
    expect(verify(endpoint.secret)).toEqual(verify(rotated));

    await api.database.db.query(
      "update webhook_secrets set expires_at = now() where endpoint_id = $1 and expires_at is not null",
      [endpoint.id],
    );
    await request("POST", `/v1/webhooks/${endpoint.id}/test`);
    expect(() => verify(endpoint.secret, 1)).toThrow();
    verify(rotated, 1);
  });

  test("without an overlap stops signing at once; a running overlap is not extended", async () => {
    const endpoint = await add();
    const rotate = (hours: number) =>
      request("POST", `/v1/webhooks/${endpoint.id}/rotate-secret`, { overlap_hours: hours });
    const second = (await rotate(1)).body.data.secret;
    await rotate(100);
    const [oldest] = await api.database.db.query<{ hours: number }>(
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

  test("is in no other response, and never unencrypted in the database", async () => {
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
    const rows = await api.database.db.query(
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
  test("is posted once, at once, and its response is shown", async () => {
    api.answer = () => ({ status: 418, body: "short and stout" });
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
    expect(api.sink.received).toHaveLength(1);
    new Webhook(endpoint.secret).verify(
      api.sink.received[0]?.body ?? "",
      api.sink.received[0]?.headers as Record<string, string>,
    );
  });

  test("that is answered 410 disables the endpoint", async () => {
    api.answer = () => ({ status: 410 });
    const endpoint = await add();
    const { body } = await request<Delivery>("POST", `/v1/webhooks/${endpoint.id}/test`);

    expect(body.data.state).toBe("exhausted");
    expect((await request("GET", `/v1/webhooks/${endpoint.id}`)).body.data).toMatchObject({
      state: "disabled",
      disabled_reason: "gone",
    });
  });

  test("that fails does not count against the endpoint; one that succeeds resets its failures", async () => {
    api.answer = () => ({ status: 500 });
    const endpoint = await add();
    const lane = async () => {
      const [row] = await api.database.db.query(
        `select failing_since is not null as failing, breaker_openings from webhook_lanes where endpoint_id = $1`,
        [endpoint.id],
      );
      return row;
    };
    await request("POST", `/v1/webhooks/${endpoint.id}/test`);
    expect(await lane()).toEqual({ failing: false, breaker_openings: 0 });

    await api.database.db.query(
      `update webhook_lanes set failing_since = now() - interval '4 days', breaker_openings = 3,
         paused_until = now() + interval '1 hour' where endpoint_id = $1`,
      [endpoint.id],
    );
    api.answer = () => ({ status: 200 });
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
  test("hold deliveries, count them, and reset failures", async () => {
    api.answer = () => ({ status: 500 });
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

    api.answer = () => ({ status: 204 });
    const { body } = await request("POST", `/v1/webhooks/${endpoint.id}/enable`);
    expect(body).toMatchObject({
      held: 2,
      held_since: (await deliveriesOf(endpoint)).at(-1)?.["event_timestamp"],
      data: { state: "enabled", disabled_reason: null, disabled_at: null },
    });
    const [lane] = await api.database.db.query(
      "select failing_since from webhook_lanes where endpoint_id = $1",
      [endpoint.id],
    );
    expect(lane).toEqual({ failing_since: null });
    expect(await deliveryStates(endpoint)).toEqual(["held", "held"]);
  });
});
