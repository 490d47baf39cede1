import type { KnownStatus } from "../domain/mail/account-status.ts";
import { type Columns, columnList, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

export type StatusRow = KnownStatus & { project_id: string };

const columns: Columns<StatusRow> = {
  project_id: "uuid",
  id: "uuid",
  occurred_at: "timestamptz",
  detail_type: "text",
  kind: "text",
  status: "text",
  account_id: "text",
  region: "text",
  resources: "jsonb",
  tenant_name: "text",
  reason: "text",
  recommendation_type: "text",
  impact: "text",
  origin: "text",
};

/**
 * Stores account statuses that SES reports.
 * @returns the ids of the new ones.
 */
export async function insertStatuses(tx: Database, rows: readonly StatusRow[]): Promise<Set<string>> {
  if (rows.length === 0) return new Set();
  const source = rowSource(columns, rows);
  const inserted = await tx.query<{ id: string }>(
    `insert into account_statuses (${columnList(columns)})
     select ${columnList(columns)} from ${source.sql} order by project_id, id
     on conflict do nothing returning id`,
    source.params,
  );
  return new Set(inserted.map(({ id }) => id));
}

/**
 * The latest status of each account, tenant and recommendation, newest first.
 * @param projectId null: all projects.
 */
export async function latestStatuses(
  db: Database,
  projectId: string | null,
  limit: number,
): Promise<StatusRow[]> {
  return db.query<StatusRow>(
    `select ${columnList(columns)} from (
       select distinct on (project_id, kind, account_id, region, resources, recommendation_type) *
       from account_statuses where $1::uuid is null or project_id = $1
       order by project_id, kind, account_id, region, resources, recommendation_type, occurred_at desc, id desc
     ) as latest order by occurred_at desc, id desc limit $2`,
    [projectId, limit],
  );
}
