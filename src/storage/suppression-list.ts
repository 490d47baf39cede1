import type { Cursor } from "../domain/cursor.ts";
import type { SuppressionReason } from "../domain/suppression.ts";
import { type Columns, columnList, rowSource } from "./columns.ts";
import { type Conditions, conditions } from "./conditions.ts";
import type { Database } from "./database.ts";
import { countRows, type Total } from "./totals.ts";

/** Why an address is on the list: an event, or somebody put it there. */
export type ListedReason = SuppressionReason | "manual";

/** An address as the list shows it. */
export type ListedSuppression = {
  id: string;
  address: string;
  reason: ListedReason;
  /** The event that says so; null when somebody put it there. */
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
};

const columns = `id, address, reason, source_event_id, since, created_at,
  to_char(created_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at_exact`;

/** Newest first, by `created_at` and id. */
export async function listSuppressions(
  db: Database,
  filter: SuppressionFilter,
  page: { limit: number; offset: number; after?: Cursor | undefined },
): Promise<ListedSuppression[]> {
  const { where, params } = matching(filter, page.after);
  return db.query<ListedSuppression>(
    `select ${columns} from suppressions where ${where()} order by created_at desc, id desc
     limit ${Math.trunc(page.limit)} offset ${Math.trunc(page.offset)}`,
    params,
  );
}

export async function countListed(db: Database, filter: SuppressionFilter): Promise<Total> {
  const { where, params } = matching(filter);
  return countRows(db, `from suppressions where ${where()}`, params);
}

function matching({ projectId, address, reason }: SuppressionFilter, after?: Cursor): Conditions {
  const matched = conditions();
  matched.add("project_id = ?", projectId);
  matched.add("address = ?", address);
  matched.add("reason = ?", reason);
  matched.add("(created_at, id) < (?::timestamptz, ?::uuid)", after?.time, after?.id);
  return matched;
}

/** An address that somebody puts on the list. */
export type NewListed = { project_id: string; address: string; reason: ListedReason; since: Date };

const newColumns: Columns<NewListed> = {
  project_id: "uuid",
  address: "text",
  reason: "text",
  since: "timestamptz",
};

/** Puts addresses on the list; those that are on it stay as they are. @returns the addresses that were not on it. */
export async function addToList(tx: Database, rows: readonly NewListed[]): Promise<Set<string>> {
  const source = rowSource(newColumns, rows);
  const added = await tx.query<{ address: string }>(
    `insert into suppressions (${columnList(newColumns)})
     select distinct on (project_id, address) ${columnList(newColumns)} from ${source.sql}
     order by project_id, address
     on conflict (project_id, address) do nothing returning address`,
    source.params,
  );
  return new Set(added.map(({ address }) => address));
}

/** Takes an address off the list. @returns why it was on it, or null when it was not. */
export async function removeFromList(
  tx: Database,
  projectId: string,
  address: string,
): Promise<{ reason: ListedReason; source_event_id: string | null } | null> {
  const [removed] = await tx.query<{ reason: ListedReason; source_event_id: string | null }>(
    "delete from suppressions where project_id = $1 and address = $2 returning reason, source_event_id",
    [projectId, address],
  );
  return removed ?? null;
}
