import { isTestAddress } from "../domain/address.ts";
import type { Cursor } from "../domain/cursor.ts";
import { emailWebhook, trackedWebhook, type WebhookEvent } from "../domain/webhooks/event.ts";
import { type Lane, owedDeliveries } from "../domain/webhooks/owed.ts";
import type { Database } from "../storage/database.ts";
import { insertDeliveries } from "../storage/webhooks/deliveries.ts";
import { findEndpoint } from "../storage/webhooks/endpoints.ts";
import { type Replay, recordReplayStep, takeReplay } from "../storage/webhooks/redeliveries.ts";
import {
  type EndpointReplay,
  hasBacklog,
  type MissedEvent,
  nextMissedEvents,
  requeueDeliveries,
} from "../storage/webhooks/redelivery-steps.ts";

/** How far a replay has come: first deliveries that there are, then events that were never owed. */
type ReplayPlace = { kind: "deliveries"; after: string | null } | { kind: "events"; after: Cursor | null };

const perStep = 500;
/** While so many wait, more would only make the endpoint's new events wait behind them. */
const backlog = 1_000;
const backlogPauseMs = 500;

/** @property lanes to wake once the step is durable. */
export type ReplayStep = { lanes: Lane[] };

/**
 * Makes the next deliveries of a replay due, one step in one transaction.
 * @returns null when no replay may go on now.
 */
export async function replayStep(db: Database): Promise<ReplayStep | null> {
  return db.transaction(async (tx) => {
    const taken = await takeReplay(tx);
    const endpoint = taken && (await findEndpoint(tx, taken.project_id, taken.endpoint_id));
    if (!taken || !endpoint) return null;
    // Written below, and by nobody else.
    const place = (taken.place as ReplayPlace | null) ?? { kind: "deliveries" as const, after: null };
    if (await hasBacklog(tx, endpoint, backlog)) {
      await recordReplayStep(tx, taken, { place, queued: 0, pauseMs: backlogPauseMs });
      return { lanes: [] };
    }
    const limit = stepSize(taken);
    const replay = { endpoint, replay: taken };
    const step = await (place.kind === "deliveries"
      ? againStep(tx, replay, place.after, limit)
      : missedStep(tx, replay, place.after, limit));
    await recordReplayStep(tx, taken, { ...step, pauseMs: pauseAfter(taken, step.queued) });
    return { lanes: step.queued > 0 ? [{ projectId: endpoint.project_id, endpointId: endpoint.id }] : [] };
  });
}

type Step = { place: ReplayPlace | null; queued: number };

/** A second's worth where there is a rate. */
function stepSize({ rate_per_second: rate }: Replay): number {
  return rate === null ? perStep : Math.max(1, Math.min(perStep, Math.floor(rate)));
}

function pauseAfter({ rate_per_second: rate }: Replay, queued: number): number {
  return rate === null ? 0 : (queued / rate) * 1000;
}

async function againStep(
  tx: Database,
  replay: EndpointReplay,
  after: string | null,
  limit: number,
): Promise<Step> {
  const ids = await requeueDeliveries(tx, replay, after, limit);
  const last = ids.at(-1);
  const isMore = last !== undefined && ids.length === limit;
  return {
    place: isMore ? { kind: "deliveries", after: last } : { kind: "events", after: null },
    queued: ids.length,
  };
}

async function missedStep(
  tx: Database,
  replay: EndpointReplay,
  after: Cursor | null,
  limit: number,
): Promise<Step> {
  const { events, place } = await nextMissedEvents(tx, replay, after, limit);
  const { project_id } = replay.endpoint;
  const subscriber = { ...replay.endpoint, event_types: ["*"] };
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
