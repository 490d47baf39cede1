import type { SuppressionReason } from "../domain/suppression.ts";
import { type Columns, columnList, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

/** An address that an event says is not to be written to any more. */
export type NewSuppression = {
  project_id: string;
  address: string;
  reason: SuppressionReason;
  source_event_id: string;
  /** When the event happened. */
  since: Date;
};

const newColumns: Columns<NewSuppression> = {
  project_id: "uuid",
  address: "text",
  reason: "text",
  source_event_id: "uuid",
  since: "timestamptz",
};

/**
 * Suppresses addresses. Where several events ask for it the earliest stands, whichever arrived first; a suppression
 * made by hand stays as it is.
 * @returns the source events of those addresses that were not suppressed before.
 */
export async function suppress(tx: Database, rows: readonly NewSuppression[]): Promise<Set<string>> {
  const source = rowSource(newColumns, rows);
  const changed = await tx.query<{ source_event_id: string; is_new: boolean }>(
    `insert into suppressions (${columnList(newColumns)})
     select distinct on (project_id, address) ${columnList(newColumns)} from ${source.sql}
     order by project_id, address, since, source_event_id
     on conflict (project_id, address) do update
       set reason = excluded.reason, source_event_id = excluded.source_event_id, since = excluded.since
       where suppressions.reason <> 'manual'
         and (excluded.since, excluded.source_event_id) < (suppressions.since, suppressions.source_event_id)
     returning source_event_id, xmax = 0 as is_new`,
    source.params,
  );
  return new Set(changed.filter(({ is_new }) => is_new).map(({ source_event_id }) => source_event_id));
}
