import { describe, expect, test } from "vitest";
import { computedId, timeOfId } from "../../../src/domain/computed-id.ts";
import type { WebhookEvent } from "../../../src/domain/webhooks/event.ts";
import { owedDeliveries, type Subscriber } from "../../../src/domain/webhooks/owed.ts";

const occurredAt = new Date("2026-11-20T10:00:00.000Z");
const webhook = (key = "event"): WebhookEvent => ({
  id: computedId(occurredAt.getTime(), [key]),
  type: "email.open",
  body: () => `{"of":"${key}"}`,
});
const event = webhook();
const endpoint = (id: string, event_types: string[], state: Subscriber["state"] = "enabled"): Subscriber => ({
  id,
  event_types,
  state,
  ordered: false,
});
const owedTo = (...subscribers: Subscriber[]) => owedDeliveries(event, subscribers);

describe("owedDeliveries", () => {
  test("are for the endpoints that subscribe to the type or to every type", () => {
    const owed = owedTo(
      endpoint("named", ["email.click", "email.open"]),
      endpoint("all", ["*"]),
      endpoint("other", ["email.click"]),
      endpoint("activity name", ["open"]),
      endpoint("pattern", ["email.*"]),
      endpoint("none", []),
    );

    expect(owed.map(({ endpoint_id }) => endpoint_id)).toEqual(["named", "all"]);
  });

  test("carry the event, its body and its state, which is held while the endpoint is disabled", () => {
    const common = {
      id: expect.any(String),
      event_id: event.id,
      event_type: "email.open",
      body: '{"of":"event"}',
      due_at: null,
    };

    expect(owedTo(endpoint("on", ["*"]), endpoint("off", ["*"], "disabled"))).toEqual([
      { ...common, endpoint_id: "on", state: "pending" },
      { ...common, endpoint_id: "off", state: "held" },
    ]);
  });

  test("are due in event order where that is asked for", () => {
    const [owed] = owedTo({ ...endpoint("in order", ["*"]), ordered: true });

    expect(owed?.due_at).toEqual(occurredAt);
  });

  test("have an id of endpoint and event, stable, at the time of the event", () => {
    const [first, second] = owedTo(endpoint("a", ["*"]), endpoint("b", ["*"]));
    const [again] = owedDeliveries(event, [endpoint("a", ["email.open"], "disabled")]);
    const [ofOther] = owedDeliveries(webhook("other event"), [endpoint("a", ["*"])]);

    expect(again?.id).toBe(first?.id);
    expect(new Set([first?.id, second?.id, ofOther?.id, event.id]).size).toBe(4);
    expect(timeOfId(first?.id ?? "")).toBe(occurredAt.getTime());
  });

  test("are none when nobody subscribes", () => {
    expect(owedTo()).toEqual([]);
    expect(owedTo(endpoint("other", ["email.click"]))).toEqual([]);
  });
});
