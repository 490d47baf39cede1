import { computedId, timeOfId } from "../computed-id.ts";
import type { WebhookEventType } from "../mail/event-names.ts";
import type { WebhookEvent } from "./event.ts";

/** An endpoint, as far as it decides about what it is owed. */
export type Subscriber = {
  id: string;
  event_types: readonly string[];
  state: "enabled" | "disabled";
  ordered: boolean;
};

export type OwedDelivery = {
  id: string;
  endpoint_id: string;
  event_id: string;
  event_type: WebhookEventType;
  body: string;
  /** `held`: the endpoint is disabled; it gets the event when it is enabled and replayed. */
  state: "pending" | "held";
  /** A lane posts what is due for longest first: null, which is now, or the event's own time where order is asked for. */
  due_at: Date | null;
};

/** What the subscribers of a project are owed for one event. */
export function owedDeliveries(event: WebhookEvent, subscribers: readonly Subscriber[]): OwedDelivery[] {
  const owed = subscribers.filter(({ event_types }) => isSubscribed(event_types, event.type));
  if (owed.length === 0) return [];
  const body = event.body();
  const eventMs = timeOfId(event.id);
  return owed.map((subscriber) => ({
    id: owedDeliveryId(subscriber.id, event.id),
    endpoint_id: subscriber.id,
    event_id: event.id,
    event_type: event.type,
    body,
    state: subscriber.state === "enabled" ? "pending" : "held",
    due_at: subscriber.ordered ? new Date(eventMs) : null,
  }));
}

/** The id of the delivery that an endpoint is owed for an event, whether or not there is one. */
export function owedDeliveryId(endpointId: string, eventId: string): string {
  return computedId(timeOfId(eventId), [endpointId, eventId]);
}

/** The endpoint whose worker is to be woken. */
export type Lane = { projectId: string; endpointId: string };

/** The lanes that have something to post now, each once. */
export function lanesToWake(
  deliveries: readonly (Pick<OwedDelivery, "endpoint_id" | "state"> & { project_id: string })[],
): Lane[] {
  const pending = deliveries.filter(({ state }) => state === "pending");
  const lanes = new Map(
    pending.map(({ project_id, endpoint_id }) => [
      endpoint_id,
      { projectId: project_id, endpointId: endpoint_id },
    ]),
  );
  return [...lanes.values()];
}

/** `*` stands for every type. */
export function isSubscribed(subscribed: readonly string[], eventType: string): boolean {
  return subscribed.includes("*") || subscribed.includes(eventType);
}
