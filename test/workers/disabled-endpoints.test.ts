import { expect } from "vitest";
import { deliverLane } from "../../workers/deliver-lane.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { webhookSink } from "../support/webhook-sink.ts";
import { test } from "./lane.ts";

test("410 disables the endpoint at once: what it is owed is held, and the others are told", async ({
  lane,
  project,
  sink,
}) => {
  const gone = await webhookSink(() => ({ status: 410, body: "moved away" }));
  const { id } = await project.addEndpoint(gone.url, { description: "old system" });
  await project.addEndpoint(sink.url, { event_types: ["endpoint.disabled"] });
  await project.apply(sesEvent("Send"));
  await until("the others are told", () => sink.received.length === 1);
  await project.apply(sesEvent("Open", { after: 60 }));
  await until("the next is held", async () => (await lane.deliveries()).length === 3);
  await gone.close();

  const [endpoint] = await project.select(
    "select state, disabled_reason, disabled_at is not null as dated from webhook_endpoints where id = $1",
    [id],
  );
  expect(endpoint).toEqual({ state: "disabled", disabled_reason: "gone", dated: true });
  expect(gone.received).toHaveLength(1);
  expect(
    await project.select("select state, event_type from deliveries where endpoint_id = $1", [id]),
  ).toEqual([
    { state: "held", event_type: "email.send" },
    { state: "held", event_type: "email.open" },
  ]);
  expect(await lane.attempts()).toContainEqual({
    number: 1,
    status: 410,
    failure: "http_4xx",
    message: null,
    excerpt: "moved away",
  });
  expect(JSON.parse(sink.received[0]?.body ?? "")).toEqual({
    event: "endpoint.disabled",
    timestamp: expect.any(String),
    project_id: project.id,
    is_test: false,
    data: {
      endpoint_id: id,
      description: "old system",
      reason: "gone",
      failing_since: expect.any(String),
      event_timestamp: expect.any(String),
    },
  });
});

test("five days without a success disable an endpoint", async ({ lane, project, sink, database }) => {
  sink.answer = () => ({ status: 500 });
  const { id } = await project.addEndpoint(sink.url);
  await project.apply(sesEvent("Send"));
  await lane.stateIs("retrying");
  await database.db.query(
    "update webhook_lanes set failing_since = now() - interval '5 days' where project_id = $1",
    [project.id],
  );
  await lane.retryNow();
  await until("it is disabled", async () => {
    const [row] = await project.select<{ reason: string }>(
      "select disabled_reason as reason from webhook_endpoints where id = $1",
      [id],
    );
    return row?.reason === "failing";
  });
  await lane.stateIs("held");
});

test("nothing is posted to a disabled endpoint, whatever a batch owed it just before", async ({
  lane,
  project,
  sink,
  service,
  database,
}) => {
  const { id } = await project.addEndpoint(sink.url);
  await database.db.query("update webhook_endpoints set state = 'disabled' where id = $1", [id]);
  await lane.owe(id, 3);

  const key = { projectId: project.id, endpointId: id };
  await deliverLane(service.context, key, new AbortController().signal);

  expect([sink.received, await lane.attempts()]).toEqual([[], []]);
});

test("what a disabled endpoint would have got is held for it", async ({ lane, project, sink, database }) => {
  const { id } = await project.addEndpoint(sink.url);
  await database.db.query("update webhook_endpoints set state = 'disabled' where id = $1", [id]);
  await project.apply(sesEvent("Send"));
  await lane.stateIs("held");

  expect(sink.received).toEqual([]);
});

test("what a batch owes an endpoint that is just being disabled or removed does not get lost between", async ({
  lane,
  project,
  sink,
  database,
}) => {
  const [disabled, removed] = [await project.addEndpoint(sink.url), await project.addEndpoint(sink.url)];
  await database.db.query("update webhook_endpoints set state = 'disabled' where id = $1", [disabled.id]);
  await database.db.query(
    "update webhook_endpoints set state = 'deleted', disabled_at = now() where id = $1",
    [removed.id],
  );
  for (const { id } of [disabled, removed]) {
    await database.db.query(
      `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state)
       values ($1, gen_random_uuid(), $2, gen_random_uuid(), 'email.open', '{}', 'pending')`,
      [project.id, id],
    );
  }
  await until("neither is pending", async () =>
    (await lane.deliveries()).every(({ state }) => state !== "pending"),
  );

  expect((await lane.deliveries()).map(({ state }) => state).toSorted()).toEqual(["cancelled", "held"]);
  expect(sink.received).toEqual([]);
});
