import { afterEach, beforeEach, expect, test } from "vitest";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { boundToHeadersOf } from "../../src/webhooks/secret-box.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { until } from "../support/wait.ts";
import { type Answer, type Received, type TestSink, webhookSink } from "../support/webhook-sink.ts";

/*
 * What an endpoint's owner sets, and what a lane does by itself when an endpoint fails.
 */

let database: TestDatabase;
let service: TestService;
let sink: TestSink;
let answer: (request: Received, number: number) => Answer | Promise<Answer>;

beforeEach(async () => {
  answer = () => ({ status: 204 });
  sink = await webhookSink((request, number) => answer(request, number));
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url });
});
afterEach(async () => {
  await service.close();
  await sink.close();
  await database.drop();
});

/** Owes an endpoint so many deliveries of events that are a second apart, in one commit. The body tells the number. */
async function owe(endpointId: string, count: number, first = 0): Promise<void> {
  await database.db.query(
    `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, due_at)
     select $1, (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '8000' || '8' || substr(md5(n::text), 1, 15))::uuid,
       $2, gen_random_uuid(), 'email.open', '{"n":' || n || '}', 'pending',
       to_timestamp(1700000000 + n) from generate_series($3::bigint, $4::bigint) as n order by random()`,
    [defaultProjectId, endpointId, first, first + count - 1],
  );
}

const received = () => sink.received.map(({ body }) => JSON.parse(body).n as number);
const states = async () => {
  const rows = await database.db.query<{ state: string; count: number }>(
    "select state, count(*)::integer as count from deliveries group by state order by state",
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
};
const allSucceed = (count: number) =>
  until(`${count} succeed`, async () => (await states())["succeeded"] === count);
const retryNow = () =>
  database.db.query(
    `with lanes as (update webhook_lanes set paused_until = null)
     update deliveries set due_at = least(due_at, now()) where state = 'retrying'`,
  );

test("an ordered endpoint gets one at a time, in event order", async () => {
  let open = 0;
  let most = 0;
  answer = async () => {
    most = Math.max(most, ++open);
    await new Promise((resolve) => setTimeout(resolve, 5));
    open--;
    return { status: 204 };
  };
  const { id } = await addEndpoint(service.context, sink.url, { ordered: true });
  await owe(id, 60);
  await allSucceed(60);

  expect(most).toBe(1);
  expect(received()).toEqual(Array.from({ length: 60 }, (_, n) => n));
});

test("a failure of an ordered endpoint holds those behind it, and is the first again", async () => {
  answer = (_request, number) => ({ status: number === 3 ? 500 : 204 });
  const { id } = await addEndpoint(service.context, sink.url, { ordered: true });
  await owe(id, 5);
  await until("the third has failed", async () => (await states())["retrying"] === 1);
  expect(await states()).toEqual({ succeeded: 2, retrying: 1, pending: 2 });
  await retryNow();
  await allSucceed(5);

  expect(received()).toEqual([0, 1, 2, 2, 3, 4]);
});

test("max_in_flight bounds what is on its way at once", async () => {
  let open = 0;
  let most = 0;
  answer = async () => {
    most = Math.max(most, ++open);
    await new Promise((resolve) => setTimeout(resolve, 20));
    open--;
    return { status: 204 };
  };
  const { id } = await addEndpoint(service.context, sink.url, { max_in_flight: 3 });
  await owe(id, 30);
  await allSucceed(30);

  expect(most).toBe(3);
});

test("rate_per_second bounds what goes out in a second", async () => {
  const times: number[] = [];
  answer = () => {
    times.push(performance.now());
    return { status: 204 };
  };
  const { id } = await addEndpoint(service.context, sink.url, { rate_per_second: 10 });
  await owe(id, 35);
  await allSucceed(35);

  // A second's worth at once, and the other 25 one by one.
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(2_000);
});

test("the breaker opens after ten failures, lets one probe through, and closes at a success", async () => {
  answer = () => ({ status: 500 });
  const { id } = await addEndpoint(service.context, sink.url);
  await owe(id, 40);
  await until("it is open", async () => {
    const [lane] = await database.db.query<{ openings: number }>(
      "select breaker_openings as openings from webhook_lanes where paused_until > now()",
    );
    return lane?.openings === 1;
  });
  expect(sink.received).toHaveLength(10);
  expect(await states()).toEqual({ retrying: 10, pending: 30 });

  // Its time is over, and the probe fails.
  await database.db.query("update webhook_lanes set paused_until = now()");
  await until("it is open again", async () => {
    const [lane] = await database.db.query<{ openings: number }>(
      "select breaker_openings as openings from webhook_lanes where paused_until > now() + interval '50 seconds'",
    );
    return lane?.openings === 2;
  });
  expect(sink.received).toHaveLength(11);

  answer = () => ({ status: 204 });
  await retryNow();
  await allSucceed(40);
});

test("an endpoint that hangs holds up no other, and its own others go on with the next turn", async () => {
  const release: (() => void)[] = [];
  answer = () => new Promise((resolve) => release.push(() => resolve({ status: 204 })));
  const quick = await webhookSink(() => ({ status: 204 }));
  const { id: hanging } = await addEndpoint(service.context, sink.url);
  await owe(hanging, 10);
  await until("it hangs", () => release.length === 10);
  const { id: other } = await addEndpoint(service.context, quick.url);
  await owe(other, 200, 100);
  await allSucceed(200);

  expect(await states()).toEqual({ leased: 10, succeeded: 200 });
  for (const let_go of release) let_go();
  await allSucceed(210);
  await quick.close();
});

test("an answer that is no HTTP uses up an attempt of its delivery, and the others go on", async () => {
  const { id } = await addEndpoint(service.context, sink.url);
  answer = ({ body }) => ({
    status: 204,
    ...(JSON.parse(body).n === 0 && { raw: "220 mail.test ESMTP\r\n" }),
  });

  await owe(id, 30);

  await allSucceed(29);
  await until("the other one waits for its next attempt", async () => (await states())["retrying"] === 1);
  expect(received().toSorted((one, other) => one - other)).toEqual(Array.from({ length: 30 }, (_, n) => n));
  expect(await database.db.query("select failure from attempts where failure is not null")).toEqual([
    { failure: "connection" },
  ]);
});

test("what we cannot post ourselves is put off without an attempt, and posted when we can", async () => {
  const { id } = await addEndpoint(service.context, sink.url);
  const headers = service.context.secretBox.seal(JSON.stringify({ "x-note": "a\nb" }), boundToHeadersOf(id));
  await database.db.query("update webhook_endpoints set sealed_headers = $1", [headers]);
  await owe(id, 3);
  const putOff = () =>
    database.db.query("select attempts from deliveries where state = 'pending' and due_at > now()");
  await until("all are put off", async () => (await putOff()).length === 3);

  expect(await putOff()).toEqual(Array(3).fill({ attempts: 0 }));
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  expect(metrics).toContain('fanmail_webhook_attempts_total{outcome="our_fault"} 3');

  await database.db.query("update webhook_endpoints set sealed_headers = null");
  await database.db.query("update deliveries set due_at = now()");
  await database.db.query("update webhook_lanes set paused_until = null");
  await allSucceed(3);
});

test("deliveries wait while all connections of the process are in use, and lose no attempt", async () => {
  const { room } = service.context.webhookConnections;
  const places = await room.take(new AbortController().signal);
  await until("all places are taken", () => places?.grow(room.size) === room.size);
  const { id } = await addEndpoint(service.context, sink.url);
  await owe(id, 3);
  await service.context.queues.wakeDeliver([{ projectId: defaultProjectId, endpointId: id }]);
  const [before] = await database.db.query("select distinct state, attempts from deliveries");
  places?.keep(0);
  await allSucceed(3);

  expect(before).toEqual({ state: "pending", attempts: 0 });
  expect(sink.received).toHaveLength(3);
});
