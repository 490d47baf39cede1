import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import { isTestAddress, parseAddress } from "../domain/address.ts";
import { computedId } from "../domain/computed-id.ts";
import {
  type CustomDiscard,
  type CustomEvent,
  type DecidedCustomEvent,
  decideCustomEvents,
  orderIdOf,
  profileChange,
} from "../domain/custom-event.ts";
import { trackedWebhook } from "../domain/webhooks/event.ts";
import type { Lane } from "../domain/webhooks/owed.ts";
import type { Logger } from "../logger.ts";
import type { Queues } from "../queue/queues.ts";
import type { Database } from "../storage/database.ts";
import { inPartitions, type Partitions } from "../storage/partitions.ts";
import { projectRules } from "../storage/projects.ts";
import { findOrMakeRecipients, type RecipientRow } from "../storage/recipients.ts";
import { oweDeliveries, wakeLanes } from "../webhooks/owe-deliveries.ts";
import { confirmOrders, eventInWindow, insertCustomEvents, mergeAttributes } from "./custom-events.sql.ts";

export type TrackContext = {
  db: Database;
  partitions: Partitions;
  clock: Pick<Clock, "newId">;
  queues: Pick<Queues, "wakeDeliver">;
  log: Logger;
};

/**
 * A custom event from a caller.
 * @property email an address in any spelling.
 */
export type EventToTrack = Pick<CustomEvent, "name" | "properties"> & { email: string; occurredAt: Date };

export type TrackedEvent = {
  eventId: string;
  recipientId: string;
  /** Whether the recipient was created for this event; of several events in a call, only the first. */
  isNewRecipient: boolean;
  discarded: CustomDiscard | null;
  /** The event that counts instead of a discarded one. */
  kept: string | null;
};

/** Further work in the transaction that stores events. If `before` throws, nothing is stored. */
export type Guard = {
  before(tx: Database): Promise<void>;
  finish(tx: Database, tracked: TrackedEvent[]): Promise<void>;
};

type AddressedEvent = CustomEvent & { address: string };
type OwnedEvent = { event: DecidedCustomEvent; recipient: RecipientRow & { is_new: boolean } };
type StoredEvents = { tracked: TrackedEvent[]; lanes: Lane[] };

/**
 * Stores custom events of a project, all or none, with the webhooks for them, and wakes the lanes. The number of
 * statements does not depend on the number of events.
 * @returns the result for each event, in the given order, once it is durable.
 * @throws Error if an `email` is not an address; callers check it first.
 */
export async function trackEvents(
  context: TrackContext,
  projectId: string,
  events: readonly EventToTrack[],
  guard?: Guard,
): Promise<TrackedEvent[]> {
  return track(context, projectId, events, { guard });
}

/**
 * Stores an open as `trackEvents` does. Opens are limited to one in each of the project's windows; of concurrent ones
 * the first to be committed counts.
 */
export async function trackOpen(
  context: TrackContext & { config: Pick<Config, "openWindowSeconds"> },
  projectId: string,
  open: EventToTrack,
): Promise<void> {
  const rules = await projectRules(context.db, [projectId], context.config.openWindowSeconds);
  const windowSeconds = rules.get(projectId)?.openWindowSeconds ?? context.config.openWindowSeconds;
  await track(context, projectId, [open], { windowSeconds });
}

/**
 * @property windowSeconds for a single event: it counts only if no other event with its name and person is that near.
 */
type TrackOptions = { guard?: Guard | undefined; windowSeconds?: number };

async function track(
  context: TrackContext,
  projectId: string,
  events: readonly EventToTrack[],
  { guard, windowSeconds = 0 }: TrackOptions,
): Promise<TrackedEvent[]> {
  if (events.length === 0) return [];
  const addressed = events.map((event, place) => addressedEvent(event, place, context.clock));
  const times = addressed.map(({ occurred_at }) => occurred_at);
  const { tracked, lanes } = await inPartitions(context.partitions, "events", times, () =>
    context.db.transaction(async (tx) => {
      await guard?.before(tx);
      const stored = await storeEvents(tx, context.clock, projectId, addressed, windowSeconds);
      await guard?.finish(tx, stored.tracked);
      return stored;
    }),
  );
  await wakeLanes(context, lanes);
  return tracked;
}

function addressedEvent(
  { name, email, properties, occurredAt }: EventToTrack,
  place: number,
  clock: TrackContext["clock"],
): AddressedEvent {
  const address = parseAddress(email)?.matched;
  // Errors are logged, and addresses must not be.
  if (address === undefined) throw new Error(`The email of event ${place} is no address; check it before`);
  const id = computedId(occurredAt.getTime(), [clock.newId()]);
  return { id, name, occurred_at: occurredAt, properties, address };
}

async function storeEvents(
  tx: Database,
  clock: TrackContext["clock"],
  projectId: string,
  events: readonly AddressedEvent[],
  windowSeconds: number,
): Promise<StoredEvents> {
  // Every transaction locks recipients before orders.
  const recipientOf = await recipientsOf(tx, clock, projectId, events);
  const holders = await holdersOf(tx, projectId, events);
  const opens = windowSeconds > 0 ? await opensInWindow(tx, events, recipientOf, windowSeconds) : undefined;
  const decided = decideCustomEvents(events, holders, opens);
  const owned = events.map(({ address }, place) => {
    const [event, recipient] = [decided[place], recipientOf.get(address)];
    if (!event || !recipient) throw new Error(`unreachable: event ${place} has no recipient`);
    return { event, recipient };
  });
  const recordedAt = await insertCustomEvents(
    tx,
    owned.map(({ event, recipient }) => ({ ...event, project_id: projectId, owner_id: recipient.id })),
  );
  await updateProfiles(tx, projectId, owned);
  return { tracked: outcomes(owned), lanes: await tellEndpoints(tx, owned, recordedAt) };
}

async function recipientsOf(
  tx: Database,
  clock: TrackContext["clock"],
  projectId: string,
  events: readonly AddressedEvent[],
): Promise<Map<string, OwnedEvent["recipient"]>> {
  const addresses = [...new Set(events.map(({ address }) => address))];
  const wanted = addresses.map((address) => ({ project_id: projectId, id: clock.newId(), address }));
  const recipients = await findOrMakeRecipients(tx, wanted);
  return new Map(recipients.map((recipient) => [recipient.address, recipient]));
}

/** For each event that confirms an order, the event that holds it. */
async function holdersOf(
  tx: Database,
  projectId: string,
  events: readonly CustomEvent[],
): Promise<Map<string, string>> {
  const confirmations = events.flatMap((event) => {
    const orderId = orderIdOf(event);
    return orderId === null ? [] : [{ project_id: projectId, order_id: orderId, event_id: event.id }];
  });
  return confirmations.length === 0 ? new Map() : confirmOrders(tx, confirmations);
}

/** For an event within the window of another, that other event. */
async function opensInWindow(
  tx: Database,
  events: readonly AddressedEvent[],
  recipientOf: ReadonlyMap<string, RecipientRow>,
  windowSeconds: number,
): Promise<Map<string, string>> {
  const kept = new Map<string, string>();
  for (const { id, name, occurred_at, address } of events) {
    const recipient = recipientOf.get(address);
    if (!recipient) throw new Error(`unreachable: the event ${id} has no recipient`);
    const key = { project_id: recipient.project_id, owner_id: recipient.id };
    const other = await eventInWindow(tx, { ...key, name, occurred_at }, windowSeconds);
    if (other !== null) kept.set(id, other);
  }
  return kept;
}

async function updateProfiles(tx: Database, projectId: string, owned: readonly OwnedEvent[]): Promise<void> {
  const told = owned.flatMap(({ event, recipient }) => {
    const attributes = profileChange(event);
    const { occurred_at } = event;
    return attributes === null ? [] : [{ project_id: projectId, id: recipient.id, occurred_at, attributes }];
  });
  if (told.length > 0) await mergeAttributes(tx, told);
}

/**
 * Stores the webhooks for the events that count.
 * @returns the lanes to wake.
 */
async function tellEndpoints(
  tx: Database,
  owned: readonly OwnedEvent[],
  recordedAt: ReadonlyMap<string, Date>,
): Promise<Lane[]> {
  const webhooks = owned
    .filter(({ event }) => event.discarded === null)
    .map(({ event, recipient }) => {
      const told = { ...recipient, is_test: isTestAddress(recipient.address) };
      const at = recordedAt.get(event.id);
      if (at === undefined) throw new Error(`unreachable: the event ${event.id} was not stored`);
      return { project_id: recipient.project_id, webhook: trackedWebhook(told, event, at) };
    });
  return oweDeliveries(tx, webhooks);
}

function outcomes(owned: readonly OwnedEvent[]): TrackedEvent[] {
  const unseen = new Set(
    owned.filter(({ recipient }) => recipient.is_new).map(({ recipient }) => recipient.id),
  );
  return owned.map(({ event, recipient }) => ({
    eventId: event.id,
    recipientId: recipient.id,
    isNewRecipient: unseen.delete(recipient.id),
    discarded: event.discarded,
    kept: event.detail.kept ?? null,
  }));
}
