import type { SuppressionReason } from "../domain/mail/suppression.ts";
import { type Columns, columnList, type RowSource, rowSource } from "./columns.ts";
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

/** As `NewSuppression`, for one tenant of SES alone. */
export type NewTenantSuppression = NewSuppression & { tenant_name: string };

/**
 * Suppresses addresses. Where several events ask for it the earliest stands, whichever arrived first; a suppression
 * made by hand stays as it is.
 * @returns the source events of those addresses that were not suppressed before.
 */
export async function suppress(tx: Database, rows: readonly NewSuppression[]): Promise<Set<string>> {
  return insert(tx, "suppressions", "project_id, address", rowSource(newColumns, rows), newColumns);
}

/** As `suppress`, for tenants. */
export async function suppressForTenants(
  tx: Database,
  rows: readonly NewTenantSuppression[],
): Promise<Set<string>> {
  const columns = { ...newColumns, tenant_name: "text" };
  const key = "project_id, address, tenant_name";
  return insert(tx, "tenant_suppressions", key, rowSource(columns, rows), columns);
}

async function insert(
  tx: Database,
  table: "suppressions" | "tenant_suppressions",
  key: string,
  source: RowSource,
  columns: Readonly<Record<string, string>>,
): Promise<Set<string>> {
  const changed = await tx.query<{ source_event_id: string; is_new: boolean }>(
    `insert into ${table} (${columnList(columns)})
     select distinct on (${key}) ${columnList(columns)} from ${source.sql}
     order by ${key}, since, source_event_id
     on conflict (${key}) do update
       set reason = excluded.reason, source_event_id = excluded.source_event_id, since = excluded.since
       where ${table}.reason <> 'manual'
         and (excluded.since, excluded.source_event_id) < (${table}.since, ${table}.source_event_id)
     returning source_event_id, xmax = 0 as is_new`,
    source.params,
  );
  return new Set(changed.filter(({ is_new }) => is_new).map(({ source_event_id }) => source_event_id));
}
