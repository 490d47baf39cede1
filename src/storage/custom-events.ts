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
