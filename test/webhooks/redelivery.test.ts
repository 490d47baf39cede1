import { describe, expect } from "vitest";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";
import { redeliveryTest } from "./redeliveries.ts";

/*
 * Which deliveries a redelivery makes: asked for over the API, done by workers.
 */

const test = redeliveryTest();

describe("a redelivery", () => {
  test("of scope failed repeats exhausted deliveries, with a new schedule", async ({
    sink,
    redeliveries,
  }) => {
    for (const state of ["exhausted", "held", "succeeded", "cancelled"]) await redeliveries.owe(3, state);
    sink.answer = () => ({ status: 500 });
    const begun = await redeliveries.begin({ scope: "failed" });
    expect([begun.status, begun.data]).toMatchObject([202, { state: "running", total: 3, queued: 0 }]);
    await redeliveries.finished(begun.data.id);
    await until("three are tried again", async () => (await redeliveries.states())["retrying"] === 3);

    expect(await redeliveries.states()).toEqual({ retrying: 3, held: 3, succeeded: 3, cancelled: 3 });
    expect(await redeliveries.read(begun.data.id)).toMatchObject({
      state: "finished",
      queued: 3,
      finished_at: expect.any(String),
    });
    expect(new Set(redeliveries.received().map(({ was }) => was))).toEqual(new Set(["exhausted"]));
    expect(sink.received[0]?.headers["x-fanmail-attempt"]).toBe("11");
  });

  test.for([
    ["undelivered", ["exhausted", "held"]],
    ["all", ["exhausted", "held", "succeeded"]],
  ] as const)("of scope %s repeats %j", async ([scope, expected], { sink, redeliveries }) => {
    for (const state of ["exhausted", "held", "succeeded", "cancelled"]) await redeliveries.owe(3, state);
    const begun = await redeliveries.begin({ scope });
    await redeliveries.finished(begun.data.id);
    await until("all are posted", () => sink.received.length === 3 * expected.length);

    expect(begun.data.total).toBe(3 * expected.length);
    expect([...new Set(redeliveries.received().map(({ was }) => was))].toSorted()).toEqual(expected);
  });

  test("keeps to its times and types", async ({ database, sink, redeliveries }) => {
    await redeliveries.owe(10, "held");
    await database.db.query(
      "update deliveries set event_type = 'email.click' where endpoint_id = $1 and body like '%:5,%'",
      [redeliveries.endpointId],
    );
    const begun = await redeliveries.begin({
      scope: "undelivered",
      since: new Date(1_700_000_003_000).toISOString(),
      until: new Date(1_700_000_006_000).toISOString(),
      events: ["email.open"],
    });
    await redeliveries.finished(begun.data.id);
    await until("all are posted", () => sink.received.length === 3);

    expect(begun.data.total).toBe(3);
    expect(
      redeliveries
        .received()
        .map(({ n }) => n)
        .toSorted(),
    ).toEqual([3, 4, 6]);
  });

  test("omits tests and deliveries of erased persons", async ({ project, database, redeliveries }) => {
    await redeliveries.owe(3, "succeeded");
    await database.db.query(
      "update deliveries set event_type = 'webhook.test' where endpoint_id = $1 and body like '%:1,%'",
      [redeliveries.endpointId],
    );
    await database.db.query(
      `update deliveries set body = '{"event":"email.open","data":{"erased":true}}'
       where endpoint_id = $1 and body like '%:2,%'`,
      [redeliveries.endpointId],
    );
    const [erased] = await project.select<{ id: string }>(
      "select id from deliveries where body like '%erased%'",
    );

    expect((await redeliveries.begin({ scope: "all", dry_run: true })).data.total).toBe(1);
    const resent = await redeliveries.request("POST", `/v1/deliveries/${erased?.id}/resend`);
    expect([resent.status, resent.error]).toEqual([409, "Its person was erased"]);
  });

  test.for(["failed", "undelivered", "all"])(
    "of scope %s counts no test that was posted",
    async (scope, { sink, redeliveries }) => {
      for (const status of [204, 500]) {
        sink.answer = () => ({ status });
        expect(
          (await redeliveries.request("POST", `/v1/webhooks/${redeliveries.endpointId}/test`)).status,
        ).toBe(200);
      }

      expect((await redeliveries.begin({ scope, dry_run: true })).data.total).toBe(0);
      expect((await redeliveries.begin({ scope })).data.total).toBe(0);
    },
  );

  test("that is a dry run only counts", async ({ project, redeliveries }) => {
    await redeliveries.owe(7, "held");
    const counted = await redeliveries.begin({ scope: "undelivered", dry_run: true });

    expect([counted.status, counted.data]).toEqual([202, { dry_run: true, total: 7 }]);
    expect(await project.select("select 1 from replays")).toEqual([]);
    expect(await redeliveries.states()).toEqual({ held: 7 });
  });

  test("of scope undelivered brings events from before the endpoint existed, once, as they were", async ({
    project,
    database,
    sink,
    redeliveries,
  }) => {
    await project.apply(
      sesEvent("Send"),
      sesEvent("Open", { after: 60 }),
      sesEvent("Open", { after: 90 }),
      sesEvent("Click", { after: 120, detail: { link: "https://example.org/a" } }),
    );
    await project.request("POST", "/v1/events", {
      body: { email: "kim@example.com", event: "cart", properties: { a: 1 } },
    });
    await until("the first endpoint is told", () => sink.received.length === 4);
    for (const table of ["events", "deliveries"]) {
      await database.db.query(
        `update ${table} set created_at = created_at - interval '1 hour' where project_id = $1`,
        [project.id],
      );
    }
    const late = await webhookSink(() => ({ status: 204 }));
    const { id } = await project.addEndpoint(late.url, {
      event_types: ["email.open", "email.click", "event.tracked"],
    });
    const dry = await redeliveries.begin({ scope: "undelivered", dry_run: true }, id);
    const begun = await redeliveries.begin({ scope: "undelivered" }, id);
    await redeliveries.finished(begun.data.id);
    await until("three are posted", () => late.received.length === 3);
    const again = await redeliveries.begin({ scope: "undelivered" }, id);
    await late.close();

    expect([dry.data.total, begun.data.total, again.data.total]).toEqual([3, 3, 0]);
    const byId = (one: TestSink) =>
      new Map(one.received.map(({ headers, body }) => [headers["webhook-id"], JSON.parse(body)]));
    const told = byId(sink);
    for (const [eventId, body] of byId(late)) {
      const { timestamp: _late, ...rest } = body;
      const { timestamp: _first, ...expected } = told.get(eventId);
      expect(rest).toEqual(expected);
    }
  });

  test("looks through many events for the few that are wanted", async ({
    project,
    service,
    database,
    sink,
    redeliveries,
  }) => {
    const events = Array.from({ length: 12_000 }, (_, n) => n % 4_000 === 3_999);
    await database.db.query(
      `insert into recipients (project_id, id, address) values ($1, $2, 'kim@example.com')`,
      [project.id, "01890000-0000-7000-8000-000000000001"],
    );
    await service.context.partitions.ensure("events", [new Date(1_700_000_000_000)]);
    await database.db.query(
      `insert into events (project_id, owner_id, occurred_at, id, type, name, detail, discarded, created_at)
       select $1, $2, to_timestamp(1700000000 + n), (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7000' || '8' ||
         lpad(to_hex(n), 15, '0'))::uuid, 'custom', 'cart', '{"properties": {}}',
         case when not wanted then 'duplicate_order' end, now() - interval '1 hour'
       from unnest($3::boolean[]) with ordinality as given (wanted, n)`,
      [project.id, "01890000-0000-7000-8000-000000000001", events],
    );
    const begun = await redeliveries.begin({ scope: "undelivered" });
    await redeliveries.finished(begun.data.id);
    await until("all are posted", () => sink.received.length === 3);

    expect([begun.data.total, (await redeliveries.read(begun.data.id)).queued]).toEqual([3, 3]);
  });

  test.for<[Record<string, unknown>, string | RegExp]>([
    [{}, "scope must be one of failed, undelivered, all"],
    [{ scope: "some" }, "scope must be one of failed, undelivered, all"],
    [{ scope: "all", since: "yesterday" }, /^since must be a time/],
    [{ scope: "all", until: "2019-01-01" }, "until must not be before since"],
    [{ scope: "all", events: ["nothing"] }, /^events\[0\] must be one of/],
    [{ scope: "all", rate_per_second: 0 }, /^rate_per_second must be/],
  ])("requested with %j is rejected", async ([body, reason], { redeliveries }) => {
    const { status, error } = await redeliveries.begin(body);
    expect([status, error]).toEqual([
      400,
      typeof reason === "string" ? reason : expect.stringMatching(reason),
    ]);
  });
});
