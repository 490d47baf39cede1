import { computedId, timeOfId } from "./computed-id.ts";
import type { EmailEvent } from "./email-event.ts";
import { webhookName } from "./event-names.ts";
import { type WebhookActivity, webhookBody } from "./webhook-event.ts";

/** An endpoint, as far as it decides about what it is owed. */
export type Subscriber = { id: string; event_types: readonly string[]; state: "enabled" | "disabled" };

export type OwedDelivery = {
  id: string;
  endpoint_id: string;
  event_id: string;
  event_type: string;
  body: string;
  /** `held`: the endpoint is disabled; it gets the event when it is enabled and replayed. */
  state: "pending" | "held";
};

/** What the subscribers of a project are owed for one event. */
export function owedDeliveries(
  projectId: string,
  activity: WebhookActivity,
  event: EmailEvent,
  subscribers: readonly Subscriber[],
  recordedAt: Date,
): OwedDelivery[] {
  const eventType = webhookName(event.type);
  const owed = subscribers.filter(({ event_types }) => isSubscribed(event_types, eventType));
  if (owed.length === 0) return [];
  const body = webhookBody(projectId, activity, event, recordedAt);
  return owed.map((subscriber) => ({
    id: computedId(timeOfId(event.id), [subscriber.id, event.id]),
    endpoint_id: subscriber.id,
    event_id: event.id,
    event_type: eventType,
    body,
    state: subscriber.state === "enabled" ? "pending" : "held",
  }));
}

/** `*` stands for every type. */
function isSubscribed(subscribed: readonly string[], eventType: string): boolean {
  return subscribed.includes("*") || subscribed.includes(eventType);
}
