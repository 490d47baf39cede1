import type { DecidedCustomEvent } from "../domain/custom-event.ts";
import { type Columns, columnList, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

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

/** Stores custom events. Each is new: nothing tells a repeat from something that happened twice. */
export async function insertCustomEvents(tx: Database, rows: readonly CustomEventRow[]): Promise<void> {
  const source = rowSource(customColumns, rows);
  await tx.query(
    `insert into events (type, ${columnList(customColumns)})
     select 'custom', ${columnList(customColumns)} from ${source.sql}`,
    source.params,
  );
}

/**
 * Finds the event that counts for the same person under the same name, less than `windowSeconds` before or after.
 * Transactions that ask about one person do so one after the other, so that each sees what the others have stored.
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
