import { describe, expect } from "vitest";
import { startTestService } from "../support/service.ts";
import { until } from "../support/wait.ts";
import { redeliveryTest } from "./redeliveries.ts";

/*
 * A redelivery is made step by step: at a rate, across restarts, for enabled endpoints.
 */

const environment = { ENCRYPTION_KEY: Buffer.alloc(32, 7).toString("base64") };

/** A test whose workers are its own, and can be started again. */
const test = redeliveryTest({ roles: { receiver: true, workers: false }, environment }).extend(
  "workers",
  { auto: true },
  async ({ database }, { onCleanup }) => {
    const roles = { receiver: false, workers: true };
    const start = () => startTestService({ databaseUrl: database.url, roles, environment });
    let running = await start();
    onCleanup(() => running.close());
    return {
      stop: () => running.close(),
      async start() {
        running = await start();
      },
    };
  },
);

describe("a redelivery", () => {
  test("keeps to its rate, and adds nothing after it is cancelled", async ({ redeliveries }) => {
    await redeliveries.owe(1_000, "held");
    const begun = await redeliveries.begin({ scope: "undelivered", rate_per_second: 20 });
    await until("it has begun", async () => (await redeliveries.read(begun.data.id)).queued > 0);
    const cancelled = await redeliveries.request("DELETE", `/v1/replays/${begun.data.id}`);
    const { queued } = cancelled.data;
    expect(cancelled.data).toMatchObject({ state: "cancelled", finished_at: expect.any(String) });
    await until(
      "what was added is posted",
      async () => (await redeliveries.states())["succeeded"] === queued,
    );

    expect(queued).toBeLessThan(1_000);
    expect(await redeliveries.states()).toEqual({ held: 1_000 - queued, succeeded: queued });
    const again = await redeliveries.request("DELETE", `/v1/replays/${begun.data.id}`);
    expect([again.status, again.error]).toEqual([409, "The replay is cancelled already"]);
  });

  test("survives a restart in the middle, and shows its progress", async ({
    project,
    redeliveries,
    workers,
  }) => {
    await redeliveries.owe(2_000, "held");
    const begun = await redeliveries.begin({ scope: "undelivered" });
    await until("it is in the middle", async () => (await redeliveries.read(begun.data.id)).queued >= 500);
    await workers.stop();
    const [middle] = await project.select<{ queued: number; state: string }>(
      "select queued, state from replays",
    );
    expect(middle?.state).toBe("running");
    expect(middle?.queued).toBeLessThan(2_000);
    await workers.start();
    await redeliveries.finished(begun.data.id);
    await until("all are posted", async () => (await redeliveries.states())["succeeded"] === 2_000);

    expect(await redeliveries.read(begun.data.id)).toMatchObject({ total: 2_000, queued: 2_000 });
    expect(new Set(redeliveries.received().map(({ n }) => n)).size).toBe(2_000);
  });

  test("waits while its endpoint is disabled, and ends when it is removed", async ({ redeliveries }) => {
    await redeliveries.owe(200, "held");
    const begun = await redeliveries.begin({ scope: "undelivered", rate_per_second: 5 });
    await until("it has begun", async () => (await redeliveries.read(begun.data.id)).queued > 0);
    await redeliveries.request("POST", `/v1/webhooks/${redeliveries.endpointId}/disable`);
    const refused = await redeliveries.begin({ scope: "all" });
    expect([refused.status, refused.error]).toEqual([409, "The endpoint is disabled; enable it first"]);
    expect((await redeliveries.read(begun.data.id)).state).toBe("running");
    await redeliveries.request("DELETE", `/v1/webhooks/${redeliveries.endpointId}`);

    expect((await redeliveries.read(begun.data.id)).state).toBe("cancelled");
    expect((await redeliveries.states())["cancelled"]).toBeGreaterThan(0);
  });
});

test("5,000 events that come while an endpoint is disabled are held; enabled and replayed, 5,000 arrive", async ({
  project,
  sink,
  redeliveries,
}) => {
  const endpoint = `/v1/webhooks/${redeliveries.endpointId}`;
  await redeliveries.request("PATCH", endpoint, { events: ["event.tracked"], max_in_flight: 100 });
  await redeliveries.request("POST", `${endpoint}/disable`);
  for (let call = 0; call < 5; call++) {
    const events = Array.from({ length: 1_000 }, (_, n) => ({
      email: `person-${n}@example.com`,
      event: "cart",
      properties: { n: call * 1_000 + n },
    }));
    const { status } = await project.request("POST", "/v1/events/bulk", { body: { events } });
    expect(status).toBe(201);
  }
  expect(await redeliveries.states()).toEqual({ held: 5_000 });
  expect(sink.received).toHaveLength(0);

  expect((await redeliveries.request("POST", `${endpoint}/enable`)).held).toBe(5_000);
  const begun = await redeliveries.begin({ scope: "undelivered" });
  expect(begun.data.total).toBe(5_000);
  await redeliveries.finished(begun.data.id);
  await until("all have arrived", async () => (await redeliveries.states())["succeeded"] === 5_000, 60);

  const numbers = sink.received.map(({ body }) => JSON.parse(body).data.properties.n as number);
  expect(new Set(numbers).size).toBe(5_000);
}, 120_000);
