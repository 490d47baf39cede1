import { computedId, timeOfId } from "../computed-id.ts";
import type { WebhookEventType } from "../mail/event-names.ts";
import type { WebhookEvent } from "./event.ts";

/** The part of an endpoint that decides which events it receives. */
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
  /** `held`: the endpoint is disabled; a redelivery posts it after the endpoint is enabled. */
  state: "pending" | "held";
  /** null: now. For an ordered endpoint the event's time: lanes post longest due first. */
  due_at: Date | null;
};

/** The deliveries to make to a project's subscribers for an event. */
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

/** The id of an endpoint's delivery for an event, whether or not it exists. */
export function owedDeliveryId(endpointId: string, eventId: string): string {
  return computedId(timeOfId(eventId), [endpointId, eventId]);
}

/** An endpoint whose deliveries are posted in turns. */
export type Lane = { projectId: string; endpointId: string };

/** The lanes with something to post now, each once. */
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

/** `*` matches every type. */
export function isSubscribed(subscribed: readonly string[], eventType: string): boolean {
  return subscribed.includes("*") || subscribed.includes(eventType);
}
