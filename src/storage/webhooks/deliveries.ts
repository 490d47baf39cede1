import type { OwedDelivery } from "../../domain/webhooks/owed.ts";
import { type Columns, columnList, rowSource } from "../columns.ts";
import type { Database } from "../database.ts";
import type { EndpointRef } from "./endpoints.ts";

export type NewDelivery = OwedDelivery & {
  project_id: string;
  /** W3C traceparent of the notification that it tells of, where that is traced. */
  traceparent?: string | null;
};

const newColumns: Columns<Omit<Required<NewDelivery>, "due_at">> = {
  project_id: "uuid",
  id: "uuid",
  endpoint_id: "uuid",
  event_id: "uuid",
  event_type: "text",
  body: "text",
  state: "text",
  traceparent: "text",
};

/**
 * Writes what endpoints are owed, in the transaction that writes the events. A delivery that is there stays.
 * @returns how many were not there.
 */
export async function insertDeliveries(tx: Database, rows: readonly NewDelivery[]): Promise<number> {
  if (rows.length === 0) return 0;
  const source = rowSource(
    { ...newColumns, due_at: "timestamptz" },
    rows.map((row) => ({ traceparent: null, ...row })),
  );
  // An event may lie ahead, by a caller's word; it is told of now.
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

/** Gives the deliveries of an endpoint up. @returns how many, at most `limit`. */
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

/** A webhook as it would be posted. */
export type ToldWebhook = { id: string; event_id: string; event_type: string; body: string };

/** Takes what is held for an endpoint, oldest event first; it is owed no more. @returns at most `limit`. */
export async function takeHeld(db: Database, endpoint: EndpointRef, limit: number): Promise<ToldWebhook[]> {
  const taken = await db.query<ToldWebhook>(
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

/** In order of time, and of one moment an email's event before the suppression that follows from it. */
function placeOf({ id, event_type }: ToldWebhook): string {
  const milliseconds = id.slice(0, 13);
  return `${milliseconds} ${event_type} ${id}`;
}
