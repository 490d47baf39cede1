import { expect } from "vitest";
import { emailEventTypes, webhookEventTypes, webhookName } from "../../src/domain/mail/event-names.ts";
import { projectTest } from "../support/project-test.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";
import { causeEveryEvent, typeOf } from "./every-webhook.ts";

const test = projectTest();
/** What an endpoint that is added later gets too. */
const missable = [...emailEventTypes.map(webhookName), "event.tracked"];

/** Bodies by webhook-id, in order of arrival. */
function bodiesOf({ received }: TestSink): Map<string, string[]> {
  const bodies = new Map<string, string[]>();
  for (const { headers, body } of received) {
    const id = String(headers["webhook-id"]);
    bodies.set(id, [...(bodies.get(id) ?? []), body]);
  }
  return bodies;
}

test("a redelivered webhook of every type has the bytes of the one that was posted first", async ({
  project,
  sink,
}) => {
  const redeliver = (endpointId: string, scope: string) =>
    project.request("POST", `/v1/webhooks/${endpointId}/replays`, { body: { since: "2020-01-01", scope } });
  await causeEveryEvent(project, sink);
  const first = bodiesOf(sink);
  const posted = sink.received.length;
  const [endpoint] = await project.select<{ id: string }>(
    "select id from webhook_endpoints where url = $1 order by created_at limit 1",
    [sink.url],
  );
  await redeliver(endpoint?.id ?? "", "all");
  const tests = sink.received.filter(({ body }) => typeOf(body) === "webhook.test").length;
  await until("all but tests have come again", () => sink.received.length >= 2 * posted - tests);

  const late = await webhookSink(() => ({ status: 204 }));
  const { id } = await project.addEndpoint(late.url);
  await redeliver(id, "undelivered");
  await until("an endpoint that was added later has them", () =>
    missable.every((type) => late.received.some(({ body }) => typeOf(body) === type)),
  );
  await late.close();

  const again = [...bodiesOf(sink)].filter(([, [body = ""]]) => typeOf(body) !== "webhook.test");
  expect(new Set(again.map(([, [body = ""]]) => typeOf(body)))).toEqual(new Set(webhookEventTypes));
  for (const [webhookId, bodies] of again) {
    expect(bodies).toEqual([first.get(webhookId)?.[0], first.get(webhookId)?.[0]]);
  }
  for (const [webhookId, bodies] of bodiesOf(late)) expect(bodies).toEqual(first.get(webhookId));
});
