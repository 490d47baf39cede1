import type { Cursor } from "../domain/cursor.ts";
import type { SuppressionReason } from "../domain/mail/suppression.ts";
import { type Columns, columnList, type RowSource, rowSource } from "./columns.ts";
import { type Conditions, conditions } from "./conditions.ts";
import type { Database } from "./database.ts";
import { addCursor, exactTimeSql, type Page, pageLimit } from "./pages.ts";
import { countRows, type Total } from "./totals.ts";

/** An address that an event suppresses. */
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

/** As `NewSuppression`, for a single SES tenant. */
export type NewTenantSuppression = NewSuppression & { tenant_name: string };

/**
 * Suppresses addresses. The earliest of several events stands, in whatever order they arrive; a manual suppression is
 * left alone.
 * @returns the source events of newly suppressed addresses.
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

/** Why an address is on the list: because of an event, or added by hand. */
export type ListedReason = SuppressionReason | "manual";

/** An address as the list shows it. */
export type ListedSuppression = {
  id: string;
  address: string;
  reason: ListedReason;
  /** The SES tenant whose list it is on; null: the project's list. */
  tenant_name: string | null;
  /** The event that suppressed it; null if it was added by hand. */
  source_event_id: string | null;
  since: Date;
  created_at: Date;
  /** `created_at` with all its microseconds, for cursors. */
  created_at_exact: string;
};

export type SuppressionFilter = {
  projectId: string;
  address?: string | undefined;
  reason?: ListedReason | undefined;
  /** A tenant's list; `*`: all lists; undefined: the project's list. */
  tenantName?: string | undefined;
};

const columns = `id, address, reason, tenant_name, source_event_id, since, created_at,
  ${exactTimeSql("created_at")} as created_at_exact`;

/** Newest first, by `created_at` and id. */
export async function listSuppressions(
  db: Database,
  filter: SuppressionFilter,
  page: Page,
): Promise<ListedSuppression[]> {
  const { where, params } = matching(filter, page.after);
  return db.query<ListedSuppression>(
    `select ${columns} from ${listOf(filter)} where ${where()} order by created_at desc, id desc
     ${pageLimit(page)}`,
    params,
  );
}

export async function countListed(db: Database, filter: SuppressionFilter): Promise<Total> {
  const { where, params } = matching(filter);
  return countRows(db, `from ${listOf(filter)} where ${where()}`, params);
}

const shared = "project_id, id, address, reason, source_event_id, since, created_at";
const ofProject = `select ${shared}, null::text as tenant_name from suppressions`;
const ofTenants = `select ${shared}, tenant_name from tenant_suppressions`;

function listOf({ tenantName }: SuppressionFilter): string {
  if (tenantName === undefined) return `(${ofProject}) as listed`;
  return tenantName === "*" ? `(${ofProject} union all ${ofTenants}) as listed` : `(${ofTenants}) as listed`;
}

function matching({ projectId, address, reason, tenantName }: SuppressionFilter, after?: Cursor): Conditions {
  const matched = conditions();
  matched.add("project_id = ?", projectId);
  matched.add("address = ?", address);
  matched.add("reason = ?", reason);
  matched.add("tenant_name = ?", tenantName === "*" ? undefined : tenantName);
  addCursor(matched, "created_at, id", after);
  return matched;
}

/** An address to add to the list of a tenant or of the project. */
export type NewListed = {
  project_id: string;
  address: string;
  tenant_name: string | null;
  reason: ListedReason;
  since: Date;
};

type ListedName = Pick<NewListed, "address" | "tenant_name">;

const listedColumns: Columns<Omit<NewListed, "tenant_name">> = {
  project_id: "uuid",
  address: "text",
  reason: "text",
  since: "timestamptz",
};

/**
 * Adds addresses to lists; those that are already listed are left alone.
 * @returns the added ones.
 */
export async function addToList(tx: Database, rows: readonly NewListed[]): Promise<ListedName[]> {
  const ofProject = rows.filter(({ tenant_name }) => tenant_name === null);
  const ofTenants = rows.filter(({ tenant_name }) => tenant_name !== null);
  // Tenant lists first: workers lock in this order too.
  const toTenants = ofTenants.length > 0 ? await addToTenants(tx, ofTenants) : [];
  const source = rowSource(listedColumns, ofProject);
  const added = await tx.query<ListedName>(
    `insert into suppressions (${columnList(listedColumns)})
     select distinct on (project_id, address) ${columnList(listedColumns)} from ${source.sql}
     order by project_id, address
     on conflict (project_id, address) do nothing returning address, null::text as tenant_name`,
    source.params,
  );
  return [...added, ...toTenants];
}

async function addToTenants(tx: Database, rows: readonly NewListed[]): Promise<ListedName[]> {
  const columns = { ...listedColumns, tenant_name: "text" };
  const source = rowSource(columns, rows);
  return tx.query<ListedName>(
    `insert into tenant_suppressions (${columnList(columns)})
     select distinct on (project_id, address, tenant_name) ${columnList(columns)} from ${source.sql}
     order by project_id, address, tenant_name
     on conflict do nothing returning address, tenant_name`,
    source.params,
  );
}

/**
 * Removes an address from a list.
 * @param tenantName null: the project's list.
 * @returns why it was listed, or null if it was not.
 */
export async function removeFromList(
  tx: Database,
  projectId: string,
  address: string,
  tenantName: string | null,
): Promise<{ reason: ListedReason; source_event_id: string | null } | null> {
  const [removed] = await tx.query<{ reason: ListedReason; source_event_id: string | null }>(
    tenantName === null
      ? "delete from suppressions where project_id = $1 and address = $2 returning reason, source_event_id"
      : `delete from tenant_suppressions where project_id = $1 and address = $2 and tenant_name = $3
         returning reason, source_event_id`,
    tenantName === null ? [projectId, address] : [projectId, address, tenantName],
  );
  return removed ?? null;
}
