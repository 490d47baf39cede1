import { firstIdAt } from "../../domain/computed-id.ts";
import type { FailureClass } from "../../domain/webhooks/outcome.ts";
import type { OwedDelivery } from "../../domain/webhooks/owed.ts";
import { type Columns, columnList, jsonText, rowSource } from "../columns.ts";
import { type Conditions, conditions } from "../conditions.ts";
import type { Database } from "../database.ts";
import { addCursor, exactTimeSql, type Page, pageLimit } from "../pages.ts";
import { countRows, type Total } from "../totals.ts";
import type { EndpointRef } from "./endpoints.ts";
import type { AttemptRow } from "./leases.ts";

export type NewDelivery = OwedDelivery & {
  project_id: string;
  /** W3C traceparent of its notification, if that is traced. */
  traceparent?: string | null;
};

const newColumns: Columns<Omit<Required<NewDelivery>, "due_at">> = {
  project_id: "uuid",
  id: "uuid",
  endpoint_id: "uuid",
  event_id: "uuid",
  event_type: "text",
  body: jsonText,
  state: "text",
  traceparent: "text",
};

/**
 * Writes deliveries, in the transaction that writes their events. Existing ones stay as they are.
 * @returns how many are new.
 */
export async function insertDeliveries(tx: Database, rows: readonly NewDelivery[]): Promise<number> {
  if (rows.length === 0) return 0;
  const source = rowSource(
    { ...newColumns, due_at: "timestamptz" },
    rows.map((row) => ({ traceparent: null, ...row })),
  );
  // The time of a custom event may be in the future; its delivery is due now.
  const inserted = await tx.query(
    `insert into deliveries (${columnList(newColumns)}, due_at)
     select ${columnList(newColumns)}, least(due_at, now()) from ${source.sql} order by project_id, id
     on conflict do nothing returning id`,
    source.params,
  );
  return inserted.length;
}

/** Holds the unfinished deliveries of an endpoint until they are redelivered. @returns how many, at most `limit`. */
export async function holdDeliveries(tx: Database, endpoint: EndpointRef, limit: number): Promise<number> {
  const held = await tx.query(
    `with open as (
       select id from deliveries where project_id = $1 and endpoint_id = $2 and state in ('pending', 'retrying')
       limit $3 for update skip locked
     )
     update deliveries set state = 'held' from open
     where deliveries.project_id = $1 and deliveries.id = open.id returning 1`,
    [endpoint.project_id, endpoint.id, limit],
  );
  return held.length;
}

/** Cancels the unfinished deliveries of an endpoint. @returns how many, at most `limit`. */
export async function cancelDeliveries(tx: Database, endpoint: EndpointRef, limit: number): Promise<number> {
  const cancelled = await tx.query(
    `with open as (
       select id from deliveries
       where project_id = $1 and endpoint_id = $2 and state in ('pending', 'retrying', 'leased', 'held')
       limit $3 for update skip locked
     )
     update deliveries set state = 'cancelled', lease_id = null, lease_expires_at = null, finished_at = now()
     from open where deliveries.project_id = $1 and deliveries.id = open.id returning 1`,
    [endpoint.project_id, endpoint.id, limit],
  );
  return cancelled.length;
}

/** A webhook as an endpoint would receive it. */
export type HeldWebhook = { id: string; event_id: string; event_type: string; body: string };

/** Takes and deletes held deliveries of an endpoint, oldest event first. @returns at most `limit`. */
export async function takeHeld(db: Database, endpoint: EndpointRef, limit: number): Promise<HeldWebhook[]> {
  const taken = await db.query<HeldWebhook>(
    `with held as (
       select id from deliveries where project_id = $1 and endpoint_id = $2 and state = 'held'
       order by id limit $3 for update skip locked
     )
     delete from deliveries using held where deliveries.project_id = $1 and deliveries.id = held.id
     returning deliveries.id, event_id, event_type, body`,
    [endpoint.project_id, endpoint.id, limit],
  );
  return taken.toSorted((one, other) => (placeOf(one) < placeOf(other) ? -1 : 1));
}

/** In order of time; an event of an email comes before the suppression that it caused at the same time. */
function placeOf({ id, event_type }: HeldWebhook): string {
  const milliseconds = id.slice(0, 13);
  return `${milliseconds} ${event_type} ${id}`;
}

export const deliveryStates = [
  "pending",
  "leased",
  "succeeded",
  "retrying",
  "exhausted",
  "held",
  "cancelled",
] as const;
type DeliveryState = (typeof deliveryStates)[number];

export type ReadDelivery = {
  project_id: string;
  id: string;
  endpoint_id: string;
  event_id: string;
  event_type: string;
  state: DeliveryState;
  attempts: number;
  /** When it is posted next; null: never. */
  next_attempt_at: Date | null;
  created_at: Date;
  finished_at: Date | null;
  /** null before the first attempt, as are the next two. */
  last_attempt_at: Date | null;
  /** Of the response; null: there was none. */
  last_status: number | null;
  /** null: a success. */
  last_failure: FailureClass | null;
};

/** A paused lane, for example while its breaker is open, delays what is due. */
const columns = `delivery.project_id, delivery.id, delivery.endpoint_id, event_id, event_type, delivery.state, attempts,
  case when delivery.state in ('pending', 'retrying') then greatest(due_at, lane.paused_until) end as next_attempt_at,
  delivery.created_at, finished_at, last_attempt_at, last_status, last_failure`;
const ofDeliveries = `from deliveries delivery left join webhook_lanes lane
  on lane.project_id = delivery.project_id and lane.endpoint_id = delivery.endpoint_id`;

export type DeliveryFilter = {
  projectId: string;
  endpointId: string;
  states?: readonly DeliveryState[] | undefined;
  /** Event times, both inclusive. */
  since?: Date | undefined;
  until?: Date | undefined;
  /** Response status of the last attempt, both inclusive. */
  statuses?: { from: number; to: number } | undefined;
  /** Of the last attempt; `any`: every failure. */
  failure?: FailureClass | "any" | undefined;
  /** true: only attempted deliveries, latest attempt first. false: newest event first. */
  isAttempted: boolean;
};

export type ListedDelivery = ReadDelivery & { attempted_at_exact: string | null };

export async function listDeliveries(
  db: Database,
  filter: DeliveryFilter,
  page: Page,
): Promise<ListedDelivery[]> {
  const { add, where, params } = matching(filter);
  const { after } = page;
  if (filter.isAttempted) addCursor({ add }, "last_attempt_at, delivery.id", after);
  else add("delivery.id < ?", after?.id);
  return db.query<ListedDelivery>(
    `select ${columns}, ${exactTimeSql("last_attempt_at")} as attempted_at_exact
     ${ofDeliveries} where ${where()}
     order by ${filter.isAttempted ? "last_attempt_at desc, " : ""}delivery.id desc
     ${pageLimit(page)}`,
    params,
  );
}

export async function countDeliveries(db: Database, filter: DeliveryFilter): Promise<Total> {
  const { where, params } = matching(filter);
  return countRows(db, `from deliveries delivery where ${where()}`, params);
}

function matching(filter: DeliveryFilter): Conditions {
  const { projectId, endpointId, states, since, until, statuses, failure, isAttempted } = filter;
  const matched = conditions();
  const { add } = matched;
  add("delivery.project_id = ?", projectId);
  add("delivery.endpoint_id = ?", endpointId);
  add("delivery.state = any(?::text[])", states);
  // The id of a delivery contains the time of its event.
  add("delivery.id >= ?::uuid", since && firstIdAt(since.getTime()));
  add("delivery.id < ?::uuid", until && firstIdAt(until.getTime() + 1));
  if (isAttempted) add("last_attempt_at is not null");
  add("last_status between ? and ?", statuses?.from, statuses?.to);
  if (failure === "any") add("last_failure is not null");
  else add("last_failure = ?", failure);
  return matched;
}

export type WholeDelivery = ReadDelivery & { body: string; traceparent: string | null };

export async function findDelivery(
  db: Database,
  projectId: string,
  id: string,
): Promise<WholeDelivery | null> {
  const [delivery] = await db.query<WholeDelivery>(
    `select ${columns}, body, traceparent ${ofDeliveries} where delivery.project_id = $1 and delivery.id = $2`,
    [projectId, id],
  );
  return delivery ?? null;
}

export type ReadAttempt = AttemptRow & { is_manual: boolean };

/** The last attempts of a delivery, in order. */
export async function attemptsOf(
  db: Database,
  { project_id, id }: Pick<ReadDelivery, "project_id" | "id">,
  limit: number,
): Promise<ReadAttempt[]> {
  const attempts = await db.query<ReadAttempt>(
    `select id, number, started_at, duration_ms, status, failure, message, excerpt, is_manual from attempts
     where project_id = $1 and delivery_id = $2 order by started_at desc, id desc limit $3`,
    [project_id, id, limit],
  );
  return attempts.toReversed();
}

/** How many deliveries of an endpoint are held, and the one of the oldest event. */
export async function heldDeliveries(
  db: Database,
  endpoint: EndpointRef,
): Promise<{ count: number; oldest_id: string | null }> {
  const [held] = await db.query<{ count: number; oldest_id: string | null }>(
    `select count(*)::integer as count, (min(id::text))::uuid as oldest_id from deliveries
     where project_id = $1 and endpoint_id = $2 and state = 'held'`,
    [endpoint.project_id, endpoint.id],
  );
  return held ?? { count: 0, oldest_id: null };
}
