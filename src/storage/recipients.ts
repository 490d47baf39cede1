import { type Columns, columnList, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

/** A person, as custom events know them. @property address in the form that is matched. */
export type RecipientRow = { project_id: string; id: string; address: string };

const keyColumns: Columns<RecipientRow> = { project_id: "uuid", id: "uuid", address: "text" };

/** Inserts recipients that do not exist, in order of address, so that transactions never deadlock. */
export async function makeRecipients(tx: Database, rows: readonly RecipientRow[]): Promise<void> {
  const source = rowSource(keyColumns, rows);
  await tx.query(
    `insert into recipients (${columnList(keyColumns)})
     select distinct on (project_id, address) ${columnList(keyColumns)} from ${source.sql}
     order by project_id, address
     on conflict (project_id, address) do nothing`,
    source.params,
    "repeated",
  );
}

/**
 * Finds the recipients with these addresses, and inserts those that do not exist. None can be deleted before the
 * transaction ends.
 * @param rows with new ids, for the recipients that are inserted.
 * @returns each recipient once; `is_new` if it was inserted here.
 */
export async function findOrMakeRecipients(
  tx: Database,
  rows: readonly RecipientRow[],
): Promise<(RecipientRow & { is_new: boolean })[]> {
  await makeRecipients(tx, rows);
  const source = rowSource(keyColumns, rows);
  // A separate statement sees what another transaction committed while the insert waited.
  const found = await tx.query<RecipientRow>(
    `select ${columnList(keyColumns)} from recipients
     where (project_id, address) in (select project_id, address from ${source.sql})
     order by project_id, address for key share`,
    source.params,
  );
  const sought = new Set(rows.map(({ project_id, address }) => `${project_id}/${address}`));
  // One existed for the insert and has been deleted since.
  if (found.length < sought.size) return findOrMakeRecipients(tx, rows);
  const ownIds = new Set(rows.map(({ id }) => id));
  return found.map((row) => ({ ...row, is_new: ownIds.has(row.id) }));
}

/** A recipient as it is read. */
export type Recipient = RecipientRow & {
  attributes: Record<string, unknown>;
  is_suppressed: boolean;
  created_at: Date;
  updated_at: Date;
};

/** @param by an address in the form that is matched, or the id. */
export async function findRecipient(
  db: Database,
  projectId: string,
  by: { address: string } | { id: string },
): Promise<Recipient | null> {
  const [column, value] = "id" in by ? ["id = $2::uuid", by.id] : ["address = $2::text", by.address];
  const [found] = await db.query<Recipient>(
    `select project_id, id, address, attributes, created_at, updated_at,
       exists (select from suppressions
               where suppressions.project_id = recipients.project_id
                 and suppressions.address = recipients.address) as is_suppressed
     from recipients where project_id = $1 and ${column}`,
    [projectId, value],
  );
  return found ?? null;
}
