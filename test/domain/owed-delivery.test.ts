import { describe, expect, test } from "vitest";
import { computedId, timeOfId } from "../../src/domain/computed-id.ts";
import type { EmailEvent } from "../../src/domain/email-event.ts";
import { owedDeliveries, type Subscriber } from "../../src/domain/owed-delivery.ts";
import { type WebhookActivity, webhookBody } from "../../src/domain/webhook-event.ts";

const occurredAt = new Date("2026-11-20T10:00:00.000Z");
const event: EmailEvent = {
  id: computedId(occurredAt.getTime(), ["event"]),
  type: "opened",
  occurred_at: occurredAt,
  detail: { user_agent: "UA" },
};
const activity: WebhookActivity = {
  id: "activity-1",
  message_id: "message-1",
  recipient_as_sent: "jane@example.com",
  tagged_id: null,
  campaign_id: null,
  automation_run_id: null,
  template_id: null,
  tags: null,
  is_test: false,
};
const recordedAt = new Date("2026-11-20T10:00:05.000Z");
const endpoint = (id: string, event_types: string[], state: Subscriber["state"] = "enabled"): Subscriber => ({
  id,
  event_types,
  state,
});
const owedTo = (...subscribers: Subscriber[]) =>
  owedDeliveries("project-1", activity, event, subscribers, recordedAt);

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
    const body = webhookBody("project-1", activity, event, recordedAt);
    const common = { id: expect.any(String), event_id: event.id, event_type: "email.open", body };

    expect(owedTo(endpoint("on", ["*"]), endpoint("off", ["*"], "disabled"))).toEqual([
      { ...common, endpoint_id: "on", state: "pending" },
      { ...common, endpoint_id: "off", state: "held" },
    ]);
  });

  test("have an id of endpoint and event, stable whenever it is recorded, at the time of the event", () => {
    const [first, second] = owedTo(endpoint("a", ["*"]), endpoint("b", ["*"]));
    const [again] = owedDeliveries(
      "project-1",
      activity,
      event,
      [endpoint("a", ["email.open"], "disabled")],
      new Date("2027-01-01T00:00:00.000Z"),
    );
    const other = { ...event, id: computedId(occurredAt.getTime(), ["other event"]) };
    const [ofOther] = owedDeliveries("project-1", activity, other, [endpoint("a", ["*"])], recordedAt);

    expect(again?.id).toBe(first?.id);
    expect(new Set([first?.id, second?.id, ofOther?.id, event.id]).size).toBe(4);
    expect(timeOfId(first?.id ?? "")).toBe(occurredAt.getTime());
  });

  test("are none when nobody subscribes", () => {
    expect(owedTo()).toEqual([]);
    expect(owedTo(endpoint("other", ["email.click"]))).toEqual([]);
  });
});
