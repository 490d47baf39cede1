import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { apply } from "../support/apply.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type Answer, type TestSink, webhookSink } from "../support/webhook-sink.ts";

/*
 * What was not delivered, or not owed, is made again: asked for over the API, done by workers, step by step.
 */

let database: TestDatabase;
let service: TestService;
let sink: TestSink;
let answer: () => Answer;
const encryptionKey = Buffer.alloc(32, 7).toString("base64");

beforeEach(async () => {
  answer = () => ({ status: 204 });
  sink = await webhookSink(() => answer());
  database = await testDatabase();
  service = await start();
});
afterEach(async () => {
  await service.close();
  await sink.close();
  await database.drop();
});

const start = () =>
  startTestService({ databaseUrl: database.url, environment: { ENCRYPTION_KEY: encryptionKey } });

type Replay = {
  id: string;
  state: string;
  total: number;
  queued: number;
  scope: string;
  finished_at: string | null;
};

async function request<Data = Replay>(method: string, path: string, body?: unknown) {
  const response = await service.request(method, path, body === undefined ? {} : { body });
  const answered = (await response.json()) as { data: Data; error?: string; held?: number };
  return { status: response.status, ...answered };
}
const replay = (endpointId: string, body: Record<string, unknown>) =>
  request("POST", `/v1/webhooks/${endpointId}/replays`, { since: "2020-01-01", ...body });
const read = async (id: string) => (await request("GET", `/v1/replays/${id}`)).data;
const finished = (id: string) =>
  until("the replay is finished", async () => (await read(id)).state === "finished", 60);

/** Owes an endpoint so many deliveries, a second apart, in a state. */
async function owe(endpointId: string, count: number, state: string): Promise<void> {
  await database.db.query(
    `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, attempts, schedule_step)
     select $1, (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '8000' || '8' || substr(md5($4 || n), 1, 15))::uuid,
       $2, gen_random_uuid(), 'email.open', '{"n":' || n || ',"was":"' || $4 || '"}', $4, 10, 10
     from generate_series(1, $3::integer) as n`,
    [defaultProjectId, endpointId, count, state],
  );
}
const states = async () => {
  const rows = await database.db.query<{ state: string; count: number }>(
    "select state, count(*)::integer as count from deliveries group by state",
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
};
const received = () => sink.received.map(({ body }) => JSON.parse(body) as { n: number; was: string });

describe("a replay", () => {
  test("of scope failed makes again what is exhausted, on a schedule that begins anew", async () => {
    const { id } = await addEndpoint(service.context, sink.url);
    for (const state of ["exhausted", "held", "succeeded", "cancelled"]) await owe(id, 3, state);
    answer = () => ({ status: 500 });
    const begun = await replay(id, { scope: "failed" });
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
    expect(sink.received[0]?.headers["x-fanmail-attempt"]).toBe("11");
  });

  test.each([
    ["undelivered", ["exhausted", "held"]],
    ["all", ["exhausted", "held", "succeeded"]],
  ])("of scope %s makes again %j", async (scope, expected) => {
    const { id } = await addEndpoint(service.context, sink.url);
    for (const state of ["exhausted", "held", "succeeded", "cancelled"]) await owe(id, 3, state);
    const begun = await replay(id, { scope });
    await finished(begun.data.id);
    await until("all are posted", () => sink.received.length === 3 * expected.length);

    expect(begun.data.total).toBe(3 * expected.length);
    expect([...new Set(received().map(({ was }) => was))].toSorted()).toEqual(expected);
  });

  test("keeps to its times and types", async () => {
    const { id } = await addEndpoint(service.context, sink.url);
    await owe(id, 10, "held");
    await database.db.query("update deliveries set event_type = 'email.click' where body like '%:5,%'");
    const begun = await replay(id, {
      scope: "undelivered",
      since: new Date(1_700_000_003_000).toISOString(),
      until: new Date(1_700_000_006_000).toISOString(),
      events: ["email.open"],
    });
    await finished(begun.data.id);
    await until("all are posted", () => sink.received.length === 3);

    expect(begun.data.total).toBe(3);
    expect(
      received()
        .map(({ n }) => n)
        .toSorted(),
    ).toEqual([3, 4, 6]);
  });

  test("leaves out tests, and what somebody was taken out of", async () => {
    const { id } = await addEndpoint(service.context, sink.url);
    await owe(id, 3, "succeeded");
    await database.db.query("update deliveries set event_type = 'webhook.test' where body like '%:1,%'");
    await database.db.query(
      `update deliveries set body = '{"event":"email.open","data":{"erased":true}}' where body like '%:2,%'`,
    );
    const [erased] = await database.db.query<{ id: string }>(
      "select id from deliveries where body like '%erased%'",
    );

    expect((await replay(id, { scope: "all", dry_run: true })).data.total).toBe(1);
    const resent = await request("POST", `/v1/deliveries/${erased?.id}/resend`);
    expect([resent.status, resent.error]).toEqual([409, "Its person was erased"]);
  });

  test.each(["failed", "undelivered", "all"])("of scope %s counts no test that was posted", async (scope) => {
    const { id } = await addEndpoint(service.context, sink.url);
    for (const status of [204, 500]) {
      answer = () => ({ status });
      expect((await request("POST", `/v1/webhooks/${id}/test`)).status).toBe(200);
    }

    expect((await replay(id, { scope, dry_run: true })).data.total).toBe(0);
    expect((await replay(id, { scope })).data.total).toBe(0);
  });

  test("that is a dry run counts, and makes nothing", async () => {
    const { id } = await addEndpoint(service.context, sink.url);
    await owe(id, 7, "held");
    const counted = await replay(id, { scope: "undelivered", dry_run: true });

    expect([counted.status, counted.data]).toEqual([202, { dry_run: true, total: 7 }]);
    expect(await database.db.query("select 1 from replays")).toEqual([]);
    expect(await states()).toEqual({ held: 7 });
  });

  test("of scope undelivered brings events from before the endpoint existed, once, as they were", async () => {
    const first = await addEndpoint(service.context, sink.url);
    await apply(
      service,
      sesEvent("Send"),
      sesEvent("Open", { after: 60 }),
      sesEvent("Open", { after: 90 }),
      sesEvent("Click", { after: 120, detail: { link: "https://example.org/a" } }),
    );
    await service.request("POST", "/v1/events", {
      body: { email: "kim@example.com", event: "cart", properties: { a: 1 } },
    });
    await until("the first endpoint is told", () => sink.received.length === 4);
    await database.db.query(
      "update events set created_at = created_at - interval '1 hour'; update deliveries set created_at = created_at - interval '1 hour'",
    );
    const late = await webhookSink(() => ({ status: 204 }));
    const { id } = await addEndpoint(service.context, late.url, {
      eventTypes: ["email.open", "email.click", "event.tracked"],
    });
    const dry = await replay(id, { scope: "undelivered", dry_run: true });
    const begun = await replay(id, { scope: "undelivered" });
    await finished(begun.data.id);
    await until("three are posted", () => late.received.length === 3);
    const again = await replay(id, { scope: "undelivered" });
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
    expect(first.id).not.toBe(id);
  });

  test("looks through many events for the few that are wanted", async () => {
    const events = Array.from({ length: 12_000 }, (_, n) => n % 4_000 === 3_999);
    await database.db.query(
      `insert into recipients (project_id, id, address) values ($1, $2, 'kim@example.com')`,
      [defaultProjectId, "01890000-0000-7000-8000-000000000001"],
    );
    await service.context.partitions.ensure("events", [new Date(1_700_000_000_000)]);
    await database.db.query(
      `insert into events (project_id, owner_id, occurred_at, id, type, name, detail, discarded, created_at)
       select $1, $2, to_timestamp(1700000000 + n), (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7000' || '8' ||
         lpad(to_hex(n), 15, '0'))::uuid, 'custom', 'cart', '{"properties": {}}',
         case when not wanted then 'duplicate_order' end, now() - interval '1 hour'
       from unnest($3::boolean[]) with ordinality as given (wanted, n)`,
      [defaultProjectId, "01890000-0000-7000-8000-000000000001", events],
    );
    const { id } = await addEndpoint(service.context, sink.url);
    const begun = await replay(id, { scope: "undelivered" });
    await finished(begun.data.id);
    await until("all are posted", () => sink.received.length === 3);

    expect([begun.data.total, (await read(begun.data.id)).queued]).toEqual([3, 3]);
  });

  test("keeps to its rate, and cancelled it adds no more", async () => {
    const { id } = await addEndpoint(service.context, sink.url);
    await owe(id, 1_000, "held");
    const begun = await replay(id, { scope: "undelivered", rate_per_second: 20 });
    await until("it has begun", async () => (await read(begun.data.id)).queued > 0);
    const cancelled = await request("DELETE", `/v1/replays/${begun.data.id}`);
    const { queued } = cancelled.data;
    expect(cancelled.data).toMatchObject({ state: "cancelled", finished_at: expect.any(String) });
    await until("what was added is posted", async () => (await states())["succeeded"] === queued);

    expect(queued).toBeLessThan(1_000);
    expect(await states()).toEqual({ held: 1_000 - queued, succeeded: queued });
    const again = await request("DELETE", `/v1/replays/${begun.data.id}`);
    expect([again.status, again.error]).toEqual([409, "The replay is cancelled already"]);
  });

  test("survives a restart in the middle, and says its progress", async () => {
    const { id } = await addEndpoint(service.context, sink.url);
    await owe(id, 2_000, "held");
    const begun = await replay(id, { scope: "undelivered" });
    await until("it is in the middle", async () => (await read(begun.data.id)).queued >= 500);
    await service.close();
    const [middle] = await database.db.query<{ queued: number; state: string }>(
      "select queued, state from replays",
    );
    expect(middle?.state).toBe("running");
    expect(middle?.queued).toBeLessThan(2_000);
    service = await start();
    await finished(begun.data.id);
    await until("all are posted", async () => (await states())["succeeded"] === 2_000);

    expect(await read(begun.data.id)).toMatchObject({ total: 2_000, queued: 2_000 });
    expect(new Set(received().map(({ n }) => n)).size).toBe(2_000);
  });

  test("waits while its endpoint is disabled, and ends when it is removed", async () => {
    const { id } = await addEndpoint(service.context, sink.url);
    await owe(id, 200, "held");
    const begun = await replay(id, { scope: "undelivered", rate_per_second: 5 });
    await until("it has begun", async () => (await read(begun.data.id)).queued > 0);
    await request("POST", `/v1/webhooks/${id}/disable`);
    const refused = await replay(id, { scope: "all" });
    expect([refused.status, refused.error]).toEqual([409, "The endpoint is disabled; enable it first"]);
    expect((await read(begun.data.id)).state).toBe("running");
    await request("DELETE", `/v1/webhooks/${id}`);

    expect((await read(begun.data.id)).state).toBe("cancelled");
    expect((await states())["cancelled"]).toBeGreaterThan(0);
  });

  test.each([
    [{}, "scope must be one of failed, undelivered, all"],
    [{ scope: "some" }, "scope must be one of failed, undelivered, all"],
    [{ scope: "all", since: "yesterday" }, /^since must be a time/],
    [{ scope: "all", until: "2019-01-01" }, "until must not be before since"],
    [{ scope: "all", events: ["nothing"] }, /^events\[0\] must be one of/],
    [{ scope: "all", rate_per_second: 0 }, /^rate_per_second must be/],
  ])("asked for with %j is refused", async (body, reason) => {
    const { id } = await addEndpoint(service.context, sink.url);
    const { status, error } = await replay(id, body);
    expect([status, error]).toEqual([
      400,
      typeof reason === "string" ? reason : expect.stringMatching(reason),
    ]);
  });
});

test("5,000 events that come while an endpoint is disabled are held; enabled and replayed, 5,000 arrive", async () => {
  const { id } = await addEndpoint(service.context, sink.url, {
    eventTypes: ["event.tracked"],
    max_in_flight: 100,
  });
  await request("POST", `/v1/webhooks/${id}/disable`);
  for (let call = 0; call < 5; call++) {
    const events = Array.from({ length: 1_000 }, (_, n) => ({
      email: `person-${n}@example.com`,
      event: "cart",
      properties: { n: call * 1_000 + n },
    }));
    const { status } = await service.request("POST", "/v1/events/bulk", { body: { events } });
    expect(status).toBe(201);
  }
  expect(await states()).toEqual({ held: 5_000 });
  expect(sink.received).toHaveLength(0);

  expect((await request("POST", `/v1/webhooks/${id}/enable`)).held).toBe(5_000);
  const begun = await replay(id, { scope: "undelivered" });
  expect(begun.data.total).toBe(5_000);
  await finished(begun.data.id);
  await until("all have arrived", async () => (await states())["succeeded"] === 5_000, 60);

  const numbers = sink.received.map(({ body }) => JSON.parse(body).data.properties.n as number);
  expect(new Set(numbers).size).toBe(5_000);
}, 120_000);
