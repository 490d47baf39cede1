import { type Columns, columnList, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

/** A person, as custom events know them. @property address in the form that is matched. */
export type RecipientRow = { project_id: string; id: string; address: string };

const keyColumns: Columns<RecipientRow> = { project_id: "uuid", id: "uuid", address: "text" };

/** Makes the recipients that are not there yet, in order of their address: so none waits for another in a ring. */
export async function makeRecipients(tx: Database, rows: readonly RecipientRow[]): Promise<void> {
  const source = rowSource(keyColumns, rows);
  await tx.query(
    `insert into recipients (${columnList(keyColumns)})
     select distinct on (project_id, address) ${columnList(keyColumns)} from ${source.sql}
     order by project_id, address
     on conflict (project_id, address) do nothing`,
    source.params,
  );
}

/**
 * Finds the recipients of these addresses, making those that are not there yet. None can be deleted before the
 * transaction ends.
 * @param rows with ids of their own, for the recipients that are made.
 * @returns each recipient once; `is_new` when it was made here.
 */
export async function findOrMakeRecipients(
  tx: Database,
  rows: readonly RecipientRow[],
): Promise<(RecipientRow & { is_new: boolean })[]> {
  await makeRecipients(tx, rows);
  const source = rowSource(keyColumns, rows);
  // A statement of its own: it sees what another transaction has committed while the insert waited for it.
  const found = await tx.query<RecipientRow>(
    `select ${columnList(keyColumns)} from recipients
     where (project_id, address) in (select project_id, address from ${source.sql})
     order by project_id, address for key share`,
    source.params,
  );
  const sought = new Set(rows.map(({ project_id, address }) => `${project_id}/${address}`));
  // One was there for the insert and has been deleted since.
  if (found.length < sought.size) return findOrMakeRecipients(tx, rows);
  const ownIds = new Set(rows.map(({ id }) => id));
  return found.map((row) => ({ ...row, is_new: ownIds.has(row.id) }));
}
