import { describe, expect, test } from "vitest";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { apply } from "../support/apply.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";
import { RedeliveryApi } from "./redelivery-api.ts";

/*
 * Which deliveries a redelivery makes: asked for over the API, done by workers.
 */

const api = new RedeliveryApi();
const { request, redeliver, read, finished, owe, states, received } = api;

describe("a redelivery", () => {
  test("of scope failed repeats exhausted deliveries, with a new schedule", async () => {
    const { id } = await addEndpoint(api.service.context, api.sink.url);
    for (const state of ["exhausted", "held", "succeeded", "cancelled"]) await owe(id, 3, state);
    api.answer = () => ({ status: 500 });
    const begun = await redeliver(id, { scope: "failed" });
    expect([begun.status, begun.data]).toMatchObject([202, { state: "running", total: 3, queued: 0 }]);
    await finished(begun.data.id);
    await until("three are tried again", async () => (await states())["retrying"] === 3);

    expect(await states()).toEqual({ retrying: 3, held: 3, succeeded: 3, cancelled: 3 });
    expect(await read(begun.data.id)).toMatchObject({
      state: "finished",
      queued: 3,
      finished_at: expect.any(String),
    });
    expect(new Set(received().map(({ was }) => was))).toEqual(new Set(["exhausted"]));
    expect(api.sink.received[0]?.headers["x-fanmail-attempt"]).toBe("11");
  });

  test.each([
    ["undelivered", ["exhausted", "held"]],
    ["all", ["exhausted", "held", "succeeded"]],
  ])("of scope %s repeats %j", async (scope, expected) => {
    const { id } = await addEndpoint(api.service.context, api.sink.url);
    for (const state of ["exhausted", "held", "succeeded", "cancelled"]) await owe(id, 3, state);
    const begun = await redeliver(id, { scope });
    await finished(begun.data.id);
    await until("all are posted", () => api.sink.received.length === 3 * expected.length);

    expect(begun.data.total).toBe(3 * expected.length);
    expect([...new Set(received().map(({ was }) => was))].toSorted()).toEqual(expected);
  });

  test("keeps to its times and types", async () => {
    const { id } = await addEndpoint(api.service.context, api.sink.url);
    await owe(id, 10, "held");
    await api.database.db.query("update deliveries set event_type = 'email.click' where body like '%:5,%'");
    const begun = await redeliver(id, {
      scope: "undelivered",
      since: new Date(1_700_000_003_000).toISOString(),
      until: new Date(1_700_000_006_000).toISOString(),
      events: ["email.open"],
    });
    await finished(begun.data.id);
    await until("all are posted", () => api.sink.received.length === 3);

    expect(begun.data.total).toBe(3);
    expect(
      received()
        .map(({ n }) => n)
        .toSorted(),
    ).toEqual([3, 4, 6]);
  });

  test("omits tests and deliveries of erased persons", async () => {
    const { id } = await addEndpoint(api.service.context, api.sink.url);
    await owe(id, 3, "succeeded");
    await api.database.db.query("update deliveries set event_type = 'webhook.test' where body like '%:1,%'");
    await api.database.db.query(
      `update deliveries set body = '{"event":"email.open","data":{"erased":true}}' where body like '%:2,%'`,
    );
    const [erased] = await api.database.db.query<{ id: string }>(
      "select id from deliveries where body like '%erased%'",
    );

    expect((await redeliver(id, { scope: "all", dry_run: true })).data.total).toBe(1);
    const resent = await request("POST", `/v1/deliveries/${erased?.id}/resend`);
    expect([resent.status, resent.error]).toEqual([409, "Its person was erased"]);
  });

  test.each(["failed", "undelivered", "all"])("of scope %s counts no test that was posted", async (scope) => {
    const { id } = await addEndpoint(api.service.context, api.sink.url);
    for (const status of [204, 500]) {
      api.answer = () => ({ status });
      expect((await request("POST", `/v1/webhooks/${id}/test`)).status).toBe(200);
    }

    expect((await redeliver(id, { scope, dry_run: true })).data.total).toBe(0);
    expect((await redeliver(id, { scope })).data.total).toBe(0);
  });

  test("that is a dry run only counts", async () => {
    const { id } = await addEndpoint(api.service.context, api.sink.url);
    await owe(id, 7, "held");
    const counted = await redeliver(id, { scope: "undelivered", dry_run: true });

    expect([counted.status, counted.data]).toEqual([202, { dry_run: true, total: 7 }]);
    expect(await api.database.db.query("select 1 from replays")).toEqual([]);
    expect(await states()).toEqual({ held: 7 });
  });

  test("of scope undelivered brings events from before the endpoint existed, once, as they were", async () => {
    const first = await addEndpoint(api.service.context, api.sink.url);
    await apply(
      api.service,
      sesEvent("Send"),
      sesEvent("Open", { after: 60 }),
      sesEvent("Open", { after: 90 }),
      sesEvent("Click", { after: 120, detail: { link: "https://example.org/a" } }),
    );
    await api.service.request("POST", "/v1/events", {
      body: { email: "kim@example.com", event: "cart", properties: { a: 1 } },
    });
    await until("the first endpoint is told", () => api.sink.received.length === 4);
    await api.database.db.query(
      "update events set created_at = created_at - interval '1 hour'; update deliveries set created_at = created_at - interval '1 hour'",
    );
    const late = await webhookSink(() => ({ status: 204 }));
    const { id } = await addEndpoint(api.service.context, late.url, {
      eventTypes: ["email.open", "email.click", "event.tracked"],
    });
    const dry = await redeliver(id, { scope: "undelivered", dry_run: true });
    const begun = await redeliver(id, { scope: "undelivered" });
    await finished(begun.data.id);
    await until("three are posted", () => late.received.length === 3);
    const again = await redeliver(id, { scope: "undelivered" });
    await late.close();

    expect([dry.data.total, begun.data.total, again.data.total]).toEqual([3, 3, 0]);
    const byId = (one: TestSink) =>
      new Map(one.received.map(({ headers, body }) => [headers["webhook-id"], JSON.parse(body)]));
    const told = byId(api.sink);
    for (const [eventId, body] of byId(late)) {
      const { timestamp: _late, ...rest } = body;
      const { timestamp: _first, ...expected } = told.get(eventId);
      expect(rest).toEqual(expected);
    }
    expect(first.id).not.toBe(id);
  });

  test("looks through many events for the few that are wanted", async () => {
    const events = Array.from({ length: 12_000 }, (_, n) => n % 4_000 === 3_999);
    await api.database.db.query(
      `insert into recipients (project_id, id, address) values ($1, $2, 'kim@example.com')`,
      [defaultProjectId, "01890000-0000-7000-8000-000000000001"],
    );
    await api.service.context.partitions.ensure("events", [new Date(1_700_000_000_000)]);
    await api.database.db.query(
      `insert into events (project_id, owner_id, occurred_at, id, type, name, detail, discarded, created_at)
       select $1, $2, to_timestamp(1700000000 + n), (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7000' || '8' ||
         lpad(to_hex(n), 15, '0'))::uuid, 'custom', 'cart', '{"properties": {}}',
         case when not wanted then 'duplicate_order' end, now() - interval '1 hour'
       from unnest($3::boolean[]) with ordinality as given (wanted, n)`,
      [defaultProjectId, "01890000-0000-7000-8000-000000000001", events],
    );
    const { id } = await addEndpoint(api.service.context, api.sink.url);
    const begun = await redeliver(id, { scope: "undelivered" });
    await finished(begun.data.id);
    await until("all are posted", () => api.sink.received.length === 3);

    expect([begun.data.total, (await read(begun.data.id)).queued]).toEqual([3, 3]);
  });

  test.each([
    [{}, "scope must be one of failed, undelivered, all"],
    [{ scope: "some" }, "scope must be one of failed, undelivered, all"],
    [{ scope: "all", since: "yesterday" }, /^since must be a time/],
    [{ scope: "all", until: "2019-01-01" }, "until must not be before since"],
    [{ scope: "all", events: ["nothing"] }, /^events\[0\] must be one of/],
    [{ scope: "all", rate_per_second: 0 }, /^rate_per_second must be/],
  ])("requested with %j is rejected", async (body, reason) => {
    const { id } = await addEndpoint(api.service.context, api.sink.url);
    const { status, error } = await redeliver(id, body);
    expect([status, error]).toEqual([
      400,
      typeof reason === "string" ? reason : expect.stringMatching(reason),
    ]);
  });
});
