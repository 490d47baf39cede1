import { describe, expect, test } from "vitest";
import { addEndpoint } from "../support/endpoint.ts";
import { until } from "../support/wait.ts";
import { RedeliveryApi } from "./redelivery-api.ts";

/*
 * A redelivery is made step by step: at a rate, across restarts, for enabled endpoints.
 */

const api = new RedeliveryApi();
const { request, redeliver, read, finished, owe, states, received, start } = api;

describe("a redelivery", () => {
  test("keeps to its rate, and adds nothing after it is cancelled", async () => {
    const { id } = await addEndpoint(api.service.context, api.sink.url);
    await owe(id, 1_000, "held");
    const begun = await redeliver(id, { scope: "undelivered", rate_per_second: 20 });
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

  test("survives a restart in the middle, and shows its progress", async () => {
    const { id } = await addEndpoint(api.service.context, api.sink.url);
    await owe(id, 2_000, "held");
    const begun = await redeliver(id, { scope: "undelivered" });
    await until("it is in the middle", async () => (await read(begun.data.id)).queued >= 500);
    await api.service.close();
    const [middle] = await api.database.db.query<{ queued: number; state: string }>(
      "select queued, state from replays",
    );
    expect(middle?.state).toBe("running");
    expect(middle?.queued).toBeLessThan(2_000);
    await start();
    await finished(begun.data.id);
    await until("all are posted", async () => (await states())["succeeded"] === 2_000);

    expect(await read(begun.data.id)).toMatchObject({ total: 2_000, queued: 2_000 });
    expect(new Set(received().map(({ n }) => n)).size).toBe(2_000);
  });

  test("waits while its endpoint is disabled, and ends when it is removed", async () => {
    const { id } = await addEndpoint(api.service.context, api.sink.url);
    await owe(id, 200, "held");
    const begun = await redeliver(id, { scope: "undelivered", rate_per_second: 5 });
    await until("it has begun", async () => (await read(begun.data.id)).queued > 0);
    await request("POST", `/v1/webhooks/${id}/disable`);
    const refused = await redeliver(id, { scope: "all" });
    expect([refused.status, refused.error]).toEqual([409, "The endpoint is disabled; enable it first"]);
    expect((await read(begun.data.id)).state).toBe("running");
    await request("DELETE", `/v1/webhooks/${id}`);

    expect((await read(begun.data.id)).state).toBe("cancelled");
    expect((await states())["cancelled"]).toBeGreaterThan(0);
  });
});

test("5,000 events that come while an endpoint is disabled are held; enabled and replayed, 5,000 arrive", async () => {
  const { id } = await addEndpoint(api.service.context, api.sink.url, {
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
    const { status } = await api.service.request("POST", "/v1/events/bulk", { body: { events } });
    expect(status).toBe(201);
  }
  expect(await states()).toEqual({ held: 5_000 });
  expect(api.sink.received).toHaveLength(0);

  expect((await request("POST", `/v1/webhooks/${id}/enable`)).held).toBe(5_000);
  const begun = await redeliver(id, { scope: "undelivered" });
  expect(begun.data.total).toBe(5_000);
  await finished(begun.data.id);
  await until("all have arrived", async () => (await states())["succeeded"] === 5_000, 60);

  const numbers = api.sink.received.map(({ body }) => JSON.parse(body).data.properties.n as number);
  expect(new Set(numbers).size).toBe(5_000);
}, 120_000);
