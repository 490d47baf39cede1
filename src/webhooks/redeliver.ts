import { isTestAddress } from "../domain/address.ts";
import type { Cursor } from "../domain/cursor.ts";
import { emailWebhook, trackedWebhook, type WebhookEvent } from "../domain/webhooks/event.ts";
import { type Lane, owedDeliveries } from "../domain/webhooks/owed.ts";
import type { Database } from "../storage/database.ts";
import { insertDeliveries } from "../storage/webhooks/deliveries.ts";
import { findEndpoint } from "../storage/webhooks/endpoints.ts";
import { type Redelivery, recordRedeliveryStep, takeRedelivery } from "../storage/webhooks/redeliveries.ts";
import {
  type EndpointRedelivery,
  hasBacklog,
  type MissedEvent,
  nextMissedEvents,
  requeueDeliveries,
} from "../storage/webhooks/redelivery-steps.ts";

/** The progress of a redelivery: first through existing deliveries, then through events without one. */
type RedeliveryPlace =
  | { kind: "deliveries"; after: string | null }
  | { kind: "events"; after: Cursor | null };

const perStep = 500;
/** With so many due, more would only delay the endpoint's new events. */
const backlog = 1_000;
const backlogPauseMs = 500;

/** @property lanes to wake after the commit. */
export type RedeliveryStep = { lanes: Lane[] };

/**
 * Makes the next deliveries of a redelivery due: one step in one transaction.
 * @returns null if no redelivery is due.
 */
export async function redeliveryStep(db: Database): Promise<RedeliveryStep | null> {
  return db.transaction(async (tx) => {
    const taken = await takeRedelivery(tx);
    const endpoint = taken && (await findEndpoint(tx, taken.project_id, taken.endpoint_id));
    if (!taken || !endpoint) return null;
    // Only this function writes it, below.
    const place = (taken.place as RedeliveryPlace | null) ?? { kind: "deliveries" as const, after: null };
    if (await hasBacklog(tx, endpoint, backlog)) {
      await recordRedeliveryStep(tx, taken, { place, queued: 0, pauseMs: backlogPauseMs });
      return { lanes: [] };
    }
    const limit = stepSize(taken);
    const redelivery = { endpoint, request: taken };
    const step = await (place.kind === "deliveries"
      ? againStep(tx, redelivery, place.after, limit)
      : missedStep(tx, redelivery, place.after, limit));
    await recordRedeliveryStep(tx, taken, { ...step, pauseMs: pauseAfter(taken, step.queued) });
    return { lanes: step.queued > 0 ? [{ projectId: endpoint.project_id, endpointId: endpoint.id }] : [] };
  });
}

type Step = { place: RedeliveryPlace | null; queued: number };

/** With a rate, the deliveries of a second. */
function stepSize({ rate_per_second: rate }: Redelivery): number {
  return rate === null ? perStep : Math.max(1, Math.min(perStep, Math.floor(rate)));
}

function pauseAfter({ rate_per_second: rate }: Redelivery, queued: number): number {
  return rate === null ? 0 : (queued / rate) * 1000;
}

async function againStep(
  tx: Database,
  redelivery: EndpointRedelivery,
  after: string | null,
  limit: number,
): Promise<Step> {
  const ids = await requeueDeliveries(tx, redelivery, after, limit);
  const last = ids.at(-1);
  const isMore = last !== undefined && ids.length === limit;
  return {
    place: isMore ? { kind: "deliveries", after: last } : { kind: "events", after: null },
    queued: ids.length,
  };
}

async function missedStep(
  tx: Database,
  redelivery: EndpointRedelivery,
  after: Cursor | null,
  limit: number,
): Promise<Step> {
  const { events, place } = await nextMissedEvents(tx, redelivery, after, limit);
  const { project_id } = redelivery.endpoint;
  const subscriber = { ...redelivery.endpoint, event_types: ["*"] };
  const deliveries = events.flatMap((event) =>
    owedDeliveries(webhookOf(project_id, event), [subscriber]).map((owed) => ({ project_id, ...owed })),
  );
  const queued = await insertDeliveries(tx, deliveries);
  return { place: place && { kind: "events", after: place }, queued };
}

function webhookOf(projectId: string, event: MissedEvent): WebhookEvent {
  if (event.type !== "custom") return emailWebhook(event.activity, event, event.recorded_at);
  const { recipient_id, address } = event;
  return trackedWebhook(
    { project_id: projectId, id: recipient_id, address, is_test: isTestAddress(address) },
    event,
    event.recorded_at,
  );
}
