import { Webhook } from "standardwebhooks";
import { describe, expect } from "vitest";
import type { TestSink } from "../support/webhook-sink.ts";
import { type Delivery, test } from "./webhook-api.ts";

describe("a secret", () => {
  const verify = ({ received }: TestSink, secret: string, at = 0) => {
    const { body, headers } = received[at] ?? { body: "", headers: {} };
    return new Webhook(secret).verify(body, headers as Record<string, string>);
  };

  test("that was rotated also signs until the overlap ends", async ({ api, sink, database }) => {
    const endpoint = await api.add();
    const { body } = await api.request("POST", `/v1/webhooks/${endpoint.id}/rotate-secret`, {
      overlap_hours: 1,
    });
    const rotated = body.data.secret;
    expect(rotated).not.toBe(endpoint.secret);
    await api.request("POST", `/v1/webhooks/${endpoint.id}/test`);

    expect(sink.received[0]?.headers["webhook-signature"]).toMatch(/^v1,\S{44} v1,\S{44}$/);
    expect(verify(sink, endpoint.secret)).toEqual(verify(sink, rotated));

    await database.db.query(
      "update webhook_secrets set expires_at = now() where endpoint_id = $1 and expires_at is not null",
      [endpoint.id],
    );
    await api.request("POST", `/v1/webhooks/${endpoint.id}/test`);
    expect(() => verify(sink, endpoint.secret, 1)).toThrow();
    verify(sink, rotated, 1);
  });

  test("without an overlap stops signing at once; a running overlap is not extended", async ({
    api,
    sink,
    database,
  }) => {
    const endpoint = await api.add();
    const rotate = (hours: number) =>
      api.request("POST", `/v1/webhooks/${endpoint.id}/rotate-secret`, { overlap_hours: hours });
    const second = (await rotate(1)).body.data.secret;
    await rotate(100);
    const [oldest] = await database.db.query<{ hours: number }>(
      `select extract(epoch from expires_at - now())::float / 3600 as hours from webhook_secrets
       where endpoint_id = $1 order by created_at limit 1`,
      [endpoint.id],
    );
    expect(oldest?.hours).toBeLessThanOrEqual(1);
    const last = (await rotate(0)).body.data.secret;
    await api.request("POST", `/v1/webhooks/${endpoint.id}/test`);

    verify(sink, last);
    for (const secret of [endpoint.secret, second]) expect(() => verify(sink, secret)).toThrow();
  });

  test("is in no other response, and never unencrypted in the database", async ({ api, project }) => {
    const endpoint = await api.add();
    const { body } = await api.request("POST", `/v1/webhooks/${endpoint.id}/rotate-secret`, {});
    await api.request("POST", `/v1/webhooks/${endpoint.id}/test`);
    const answers = [];
    for (const path of [
      "/v1/webhooks",
      `/v1/webhooks/${endpoint.id}`,
      `/v1/webhooks/${endpoint.id}/deliveries`,
    ]) {
      answers.push(JSON.stringify((await api.request("GET", path)).body));
    }
    const rows = await project.select(
      "select sealed::text, encode(sealed, 'escape') as text from webhook_secrets",
    );
    for (const secret of [endpoint.secret, body.data.secret]) {
      expect(JSON.stringify([answers, rows])).not.toContain(secret.slice("whsec_".length));
    }
  });

  test.for([[{ overlap_hours: -1 }], [{ overlap_hours: 169 }]])(
    "overlaps by %j: refused",
    async ([body], { api }) => {
      const { id } = await api.add();
      const { status, body: answered } = await api.request("POST", `/v1/webhooks/${id}/rotate-secret`, body);
      expect([status, answered.error]).toEqual([
        400,
        "overlap_hours must be a number of hours from 0 to 168",
      ]);
    },
  );
});

describe("a test", () => {
  test("is posted once, at once, and its response is shown", async ({ api, sink }) => {
    sink.answer = () => ({ status: 418, body: "short and stout" });
    const endpoint = await api.add({ events: ["email.bounce"] });
    const { status, body } = await api.request<Delivery>("POST", `/v1/webhooks/${endpoint.id}/test`);

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

  test("that is answered 410 disables the endpoint", async ({ api, sink }) => {
    sink.answer = () => ({ status: 410 });
    const endpoint = await api.add();
    const { body } = await api.request<Delivery>("POST", `/v1/webhooks/${endpoint.id}/test`);

    expect(body.data.state).toBe("exhausted");
    expect((await api.request("GET", `/v1/webhooks/${endpoint.id}`)).body.data).toMatchObject({
      state: "disabled",
      disabled_reason: "gone",
    });
  });

  test("that fails does not count against the endpoint; one that succeeds resets its failures", async ({
    api,
    sink,
    database,
  }) => {
    sink.answer = () => ({ status: 500 });
    const endpoint = await api.add();
    const lane = async () => {
      const [row] = await database.db.query(
        `select failing_since is not null as failing, breaker_openings from webhook_lanes where endpoint_id = $1`,
        [endpoint.id],
      );
      return row;
    };
    await api.request("POST", `/v1/webhooks/${endpoint.id}/test`);
    expect(await lane()).toEqual({ failing: false, breaker_openings: 0 });

    await database.db.query(
      `update webhook_lanes set failing_since = now() - interval '4 days', breaker_openings = 3,
         paused_until = now() + interval '1 hour' where endpoint_id = $1`,
      [endpoint.id],
    );
    sink.answer = () => ({ status: 200 });
    await api.request("POST", `/v1/webhooks/${endpoint.id}/test`);
    expect(await lane()).toEqual({ failing: false, breaker_openings: 0 });
  });

  test("reaches a disabled endpoint, and leaves it disabled", async ({ api }) => {
    const endpoint = await api.add();
    await api.request("POST", `/v1/webhooks/${endpoint.id}/disable`);
    const { body } = await api.request<Delivery>("POST", `/v1/webhooks/${endpoint.id}/test`);

    expect(body.data.state).toBe("succeeded");
    expect((await api.request("GET", `/v1/webhooks/${endpoint.id}`)).body.data["state"]).toBe("disabled");
  });
});

describe("disabling and enabling", () => {
  test("hold deliveries, count them, and reset failures", async ({ api, sink, database }) => {
    const endpoint = await api.addFailing();
    const disabled = await api.request("POST", `/v1/webhooks/${endpoint.id}/disable`);
    expect(disabled.body.data).toMatchObject({
      state: "disabled",
      disabled_reason: "manual",
      disabled_at: expect.any(String),
    });
    await api.send();
    await api.stateIs(endpoint, "held", "held");

    sink.answer = () => ({ status: 204 });
    const { body } = await api.request("POST", `/v1/webhooks/${endpoint.id}/enable`);
    expect(body).toMatchObject({
      held: 2,
      held_since: (await api.deliveriesOf(endpoint)).at(-1)?.["event_timestamp"],
      data: { state: "enabled", disabled_reason: null, disabled_at: null },
    });
    const [lane] = await database.db.query("select failing_since from webhook_lanes where endpoint_id = $1", [
      endpoint.id,
    ]);
    expect(lane).toEqual({ failing_since: null });
    expect(await api.deliveryStates(endpoint)).toEqual(["held", "held"]);
  });
});
