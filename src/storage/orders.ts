import { type Columns, columnList, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

/** An event that confirms an order. */
export type OrderConfirmation = { project_id: string; order_id: string; event_id: string };

const orderColumns: Columns<OrderConfirmation> = {
  project_id: "uuid",
  order_id: "text",
  event_id: "uuid",
};

/**
 * Confirms orders. Of several events that confirm the same order the first to be committed holds it for good, and
 * within a call the first of the list. Waits for transactions that are confirming the same orders, in order of
 * their key and so never in a ring.
 * @returns for each event given, the id of the event that holds its order.
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
  // A statement of its own: it sees what another transaction has committed while the insert waited for it.
  const held = await tx.query<{ event_id: string; holder_id: string }>(
    `select rows.event_id, orders.event_id as holder_id from ${source.sql}
     join orders using (project_id, order_id)`,
    source.params,
  );
  return new Map(held.map(({ event_id, holder_id }) => [event_id, holder_id]));
}
