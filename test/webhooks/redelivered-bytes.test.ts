import { expect, test } from "vitest";
import { emailEventTypes, webhookEventTypes, webhookName } from "../../src/domain/mail/event-names.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";
import { causeEveryEvent, typeOf } from "./every-webhook.ts";
import { RedeliveryApi } from "./redelivery-api.ts";

const api = new RedeliveryApi();
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

test("a redelivered webhook of every type has the bytes of the one that was posted first", async () => {
  await causeEveryEvent(api.service, api.sink);
  const first = bodiesOf(api.sink);
  const posted = api.sink.received.length;
  const [endpoint] = await api.database.db.query<{ id: string }>(
    "select id from webhook_endpoints where url = $1 order by created_at limit 1",
    [api.sink.url],
  );
  await api.redeliver(endpoint?.id ?? "", { scope: "all" });
  const tests = api.sink.received.filter(({ body }) => typeOf(body) === "webhook.test").length;
  await until("all but tests have come again", () => api.sink.received.length >= 2 * posted - tests);

  const late = await webhookSink(() => ({ status: 204 }));
  const { id } = await addEndpoint(api.service.context, late.url);
  await api.redeliver(id, { scope: "undelivered" });
  await until("an endpoint that was added later has them", () =>
    missable.every((type) => late.received.some(({ body }) => typeOf(body) === type)),
  );
  await late.close();

  const again = [...bodiesOf(api.sink)].filter(([, [body = ""]]) => typeOf(body) !== "webhook.test");
  expect(new Set(again.map(([, [body = ""]]) => typeOf(body)))).toEqual(new Set(webhookEventTypes));
  for (const [webhookId, bodies] of again) {
    expect(bodies).toEqual([first.get(webhookId)?.[0], first.get(webhookId)?.[0]]);
  }
  for (const [webhookId, bodies] of bodiesOf(late)) expect(bodies).toEqual(first.get(webhookId));
});
