import type { DecidedCustomEvent } from "../domain/custom-event.ts";
import { type Columns, columnList, rowSource } from "../storage/columns.ts";
import type { Database } from "../storage/database.ts";

/** @property owner_id the recipient. */
export type CustomEventRow = Omit<DecidedCustomEvent, "properties"> & {
  project_id: string;
  owner_id: string;
};

const customColumns: Columns<CustomEventRow> = {
  project_id: "uuid",
  owner_id: "uuid",
  occurred_at: "timestamptz",
  id: "uuid",
  name: "text",
  detail: "jsonb",
  discarded: "text",
};

/**
 * Stores custom events. Each is new: a repeat cannot be told from something that happened twice.
 * @returns by id the time at which each was recorded.
 */
export async function insertCustomEvents(
  tx: Database,
  rows: readonly CustomEventRow[],
): Promise<Map<string, Date>> {
  const source = rowSource(customColumns, rows);
  const inserted = await tx.query<{ id: string; created_at: Date }>(
    `insert into events (type, ${columnList(customColumns)})
     select 'custom', ${columnList(customColumns)} from ${source.sql} returning id, created_at`,
    source.params,
  );
  return new Map(inserted.map(({ id, created_at }) => [id, created_at]));
}

/**
 * Finds the counting event of the same person and name, less than `windowSeconds` before or after. Transactions about
 * the same person run one after the other, so that each sees what the others have stored.
 * @returns the id of the latest such event, or null.
 */
export async function eventInWindow(
  tx: Database,
  event: Pick<CustomEventRow, "project_id" | "owner_id" | "name" | "occurred_at">,
  windowSeconds: number,
): Promise<string | null> {
  const person = [event.project_id, event.owner_id];
  await tx.query("select 1 from recipients where project_id = $1 and id = $2 for no key update", person);
  const [found] = await tx.query<{ id: string }>(
    `select id from events
     where project_id = $1 and owner_id = $2 and type = 'custom' and name = $3 and discarded is null
       and occurred_at > $4::timestamptz - $5 * interval '1 second'
       and occurred_at < $4::timestamptz + $5 * interval '1 second'
     order by occurred_at desc, id desc limit 1`,
    [...person, event.name, event.occurred_at, windowSeconds],
  );
  return found?.id ?? null;
}

/** An event that confirms an order. */
export type OrderConfirmation = { project_id: string; order_id: string; event_id: string };

const orderColumns: Columns<OrderConfirmation> = {
  project_id: "uuid",
  order_id: "text",
  event_id: "uuid",
};

/**
 * Confirms orders. The first committed event that confirms an order holds it for good; within a call, the first in
 * the list. Waits for transactions that confirm the same orders, in order of their key, so that they never deadlock.
 * @returns for each given event, the id of the event that holds its order.
 */
export async function confirmOrders(
  tx: Database,
  rows: readonly OrderConfirmation[],
): Promise<Map<string, string>> {
  const placed = rows.map((row, place) => ({ ...row, place }));
  const source = rowSource({ ...orderColumns, place: "integer" }, placed);
  await tx.query(
    `insert into orders (${columnList(orderColumns)})
     select distinct on (project_id, order_id) ${columnList(orderColumns)} from ${source.sql}
     order by project_id, order_id, place
     on conflict (project_id, order_id) do nothing`,
    source.params,
  );
  // A separate statement sees what another transaction committed while the insert waited.
  const held = await tx.query<{ event_id: string; holder_id: string }>(
    `select rows.event_id, orders.event_id as holder_id from ${source.sql}
     join orders using (project_id, order_id)`,
    source.params,
  );
  return new Map(held.map(({ event_id, holder_id }) => [event_id, holder_id]));
}

/**
 * Reported values of a recipient.
 * @property occurred_at the time of the values.
 */
export type ReportedAttributes = {
  project_id: string;
  /** Of the recipient. */
  id: string;
  occurred_at: Date;
  attributes: Readonly<Record<string, unknown>>;
};

const columns: Columns<ReportedAttributes & { place: number }> = {
  project_id: "uuid",
  id: "uuid",
  occurred_at: "timestamptz",
  attributes: "jsonb",
  place: "integer",
};

/**
 * Merges values into the attributes of recipients. For each key the value with the latest time stands, in whatever
 * order they arrive; for equal times the last one.
 */
export async function mergeAttributes(tx: Database, told: readonly ReportedAttributes[]): Promise<void> {
  const source = rowSource(
    columns,
    told.map((row, place) => ({ ...row, place })),
  );
  // Locks in order of address, like all others; the update then reads what is committed.
  await tx.query(
    `select 1 from recipients where (project_id, id) in (select project_id, id from ${source.sql})
     order by project_id, address for no key update`,
    source.params,
  );
  await tx.query(
    `with latest as (
       select distinct on (rows.project_id, rows.id, key) rows.project_id, rows.id, key, value, rows.occurred_at
       from ${source.sql}, jsonb_each(rows.attributes)
       order by rows.project_id, rows.id, key, rows.occurred_at desc, rows.place desc),
     merged as (
       select project_id, id, jsonb_object_agg(key, value) as attributes,
         jsonb_object_agg(key, to_char(occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) as times
       from latest join recipients using (project_id, id)
       where coalesce((attribute_times ->> key)::timestamptz <= occurred_at, true)
       group by project_id, id)
     update recipients set attributes = recipients.attributes || merged.attributes,
       attribute_times = recipients.attribute_times || merged.times, updated_at = now()
     from merged where recipients.project_id = merged.project_id and recipients.id = merged.id`,
    source.params,
  );
}
