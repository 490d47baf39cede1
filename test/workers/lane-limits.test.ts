import { expect } from "vitest";
import { boundToHeadersOf } from "../../src/webhooks/secret-box.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";
import { test } from "./lane.ts";

/*
 * What an endpoint's owner sets, and what a lane does by itself when an endpoint fails.
 */

/** Those of the deliveries, in the order in which they arrived. */
const numbers = (sink: TestSink) => sink.received.map(({ body }) => JSON.parse(body).n as number);

test("an ordered endpoint gets one at a time, in event order", async ({ lane, project, sink }) => {
  let open = 0;
  let most = 0;
  sink.answer = async () => {
    most = Math.max(most, ++open);
    await new Promise((resolve) => setTimeout(resolve, 5));
    open--;
    return { status: 204 };
  };
  const { id } = await project.addEndpoint(sink.url, { ordered: true });
  await lane.owe(id, 60);
  await lane.allSucceed(60);

  expect(most).toBe(1);
  expect(numbers(sink)).toEqual(Array.from({ length: 60 }, (_, n) => n));
});

test("a failure of an ordered endpoint holds those behind it, and is the first again", async ({
  lane,
  project,
  sink,
}) => {
  sink.answer = (_request, number) => ({ status: number === 3 ? 500 : 204 });
  const { id } = await project.addEndpoint(sink.url, { ordered: true });
  await lane.owe(id, 5);
  await until("the third has failed", async () => (await lane.states())["retrying"] === 1);
  expect(await lane.states()).toEqual({ succeeded: 2, retrying: 1, pending: 2 });
  await lane.retryNow();
  await lane.allSucceed(5);

  expect(numbers(sink)).toEqual([0, 1, 2, 2, 3, 4]);
});

test("max_in_flight bounds what is on its way at once", async ({ lane, project, sink }) => {
  let open = 0;
  let most = 0;
  sink.answer = async () => {
    most = Math.max(most, ++open);
    await new Promise((resolve) => setTimeout(resolve, 20));
    open--;
    return { status: 204 };
  };
  const { id } = await project.addEndpoint(sink.url, { max_in_flight: 3 });
  await lane.owe(id, 30);
  await lane.allSucceed(30);

  expect(most).toBe(3);
});

test("rate_per_second bounds what goes out in a second", async ({ lane, project, sink }) => {
  const times: number[] = [];
  sink.answer = () => {
    times.push(performance.now());
    return { status: 204 };
  };
  const { id } = await project.addEndpoint(sink.url, { rate_per_second: 10 });
  await lane.owe(id, 35);
  await lane.allSucceed(35);

  // A second's worth at once, and the other 25 one by one.
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(2_000);
});

test("the breaker opens after ten failures, lets one probe through, and closes at a success", async ({
  lane,
  project,
  sink,
  database,
}) => {
  sink.answer = () => ({ status: 500 });
  const { id } = await project.addEndpoint(sink.url);
  await lane.owe(id, 40);
  await until("it is open", async () => {
    const [lane] = await project.select<{ openings: number }>(
      "select breaker_openings as openings from webhook_lanes where paused_until > now()",
    );
    return lane?.openings === 1;
  });
  expect(sink.received).toHaveLength(10);
  expect(await lane.states()).toEqual({ retrying: 10, pending: 30 });

  // Its time is over, and the probe fails.
  await database.db.query("update webhook_lanes set paused_until = now() where project_id = $1", [
    project.id,
  ]);
  await until("it is open again", async () => {
    const [lane] = await project.select<{ openings: number }>(
      "select breaker_openings as openings from webhook_lanes where paused_until > now() + interval '50 seconds'",
    );
    return lane?.openings === 2;
  });
  expect(sink.received).toHaveLength(11);

  sink.answer = () => ({ status: 204 });
  await lane.retryNow();
  await lane.allSucceed(40);
});

test("an endpoint that hangs holds up no other, and its own others go on with the next turn", async ({
  lane,
  project,
  sink,
}) => {
  const release: (() => void)[] = [];
  sink.answer = () => new Promise((resolve) => release.push(() => resolve({ status: 204 })));
  const quick = await webhookSink(() => ({ status: 204 }));
  const { id: hanging } = await project.addEndpoint(sink.url);
  await lane.owe(hanging, 10);
  await until("it hangs", () => release.length === 10);
  const { id: other } = await project.addEndpoint(quick.url);
  await lane.owe(other, 200, 100);
  await lane.allSucceed(200);

  expect(await lane.states()).toEqual({ leased: 10, succeeded: 200 });
  for (const let_go of release) let_go();
  await lane.allSucceed(210);
  await quick.close();
});

test("an answer that is no HTTP uses up an attempt of its delivery, and the others go on", async ({
  lane,
  project,
  sink,
}) => {
  const { id } = await project.addEndpoint(sink.url);
  sink.answer = ({ body }) => ({
    status: 204,
    ...(JSON.parse(body).n === 0 && { raw: "220 mail.test ESMTP\r\n" }),
  });

  await lane.owe(id, 30);

  await lane.allSucceed(29);
  await until(
    "the other one waits for its next attempt",
    async () => (await lane.states())["retrying"] === 1,
  );
  expect(numbers(sink).toSorted((one, other) => one - other)).toEqual(
    Array.from({ length: 30 }, (_, n) => n),
  );
  expect(await project.select("select failure from attempts where failure is not null")).toEqual([
    { failure: "connection" },
  ]);
});

test("what we cannot post ourselves is put off without an attempt, and posted when we can", async ({
  lane,
  project,
  sink,
  service,
  database,
}) => {
  const { id } = await project.addEndpoint(sink.url);
  const headers = service.context.secretBox.seal(JSON.stringify({ "x-note": "a\nb" }), boundToHeadersOf(id));
  await database.db.query("update webhook_endpoints set sealed_headers = $1 where id = $2", [headers, id]);
  await lane.owe(id, 3);
  const putOff = () =>
    project.select("select attempts from deliveries where state = 'pending' and due_at > now()");
  await until("all are put off", async () => (await putOff()).length === 3);

  expect(await putOff()).toEqual(Array(3).fill({ attempts: 0 }));
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  expect(metrics).toContain('fanmail_webhook_attempts_total{outcome="our_fault"} 3');

  await database.db.query("update webhook_endpoints set sealed_headers = null where id = $1", [id]);
  await database.db.query("update deliveries set due_at = now() where endpoint_id = $1", [id]);
  await database.db.query("update webhook_lanes set paused_until = null where endpoint_id = $1", [id]);
  await lane.allSucceed(3);
});

test("deliveries wait while all connections of the process are in use, and lose no attempt", async ({
  lane,
  project,
  sink,
  service,
}) => {
  const { room } = service.context.webhookConnections;
  const places = await room.take(new AbortController().signal);
  await until("all places are taken", () => places?.grow(room.size) === room.size);
  const { id } = await project.addEndpoint(sink.url);
  await lane.owe(id, 3);
  await service.context.queues.wakeDeliver([{ projectId: project.id, endpointId: id }]);
  const [before] = await project.select("select distinct state, attempts from deliveries");
  places?.keep(0);
  await lane.allSucceed(3);

  expect(before).toEqual({ state: "pending", attempts: 0 });
  expect(sink.received).toHaveLength(3);
});
