import { type Columns, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

/** Values that were told of a recipient. @property occurred_at when it was so. */
export type ToldAttributes = {
  project_id: string;
  /** Of the recipient. */
  id: string;
  occurred_at: Date;
  attributes: Readonly<Record<string, unknown>>;
};

const columns: Columns<ToldAttributes & { place: number }> = {
  project_id: "uuid",
  id: "uuid",
  occurred_at: "timestamptz",
  attributes: "jsonb",
  place: "integer",
};

/**
 * Merges values into the attributes of recipients. For each key the value that was told for the latest time stands,
 * whichever came first; of one time that which came last.
 */
export async function mergeAttributes(tx: Database, told: readonly ToldAttributes[]): Promise<void> {
  const source = rowSource(
    columns,
    told.map((row, place) => ({ ...row, place })),
  );
  // In order of address, as everybody locks recipients; and the update reads what is committed by then.
  await tx.query(
    `select 1 from recipients where (project_id, id) in (select project_id, id from ${source.sql})
     order by project_id, address for no key update`,
    source.params,
  );
  await tx.query(
    `with latest as (
       select distinct on (rows.project_id, rows.id, key) rows.project_id, rows.id, key, value, rows.occurred_at
       from ${source.sql}, jsonb_each(rows.attributes)
       order by rows.project_id, rows.id, key, rows.occurred_at desc, rows.place desc),
     merged as (
       select project_id, id, jsonb_object_agg(key, value) as attributes,
         jsonb_object_agg(key, to_char(occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) as times
       from latest join recipients using (project_id, id)
       where coalesce((attribute_times ->> key)::timestamptz <= occurred_at, true)
       group by project_id, id)
     update recipients set attributes = recipients.attributes || merged.attributes,
       attribute_times = recipients.attribute_times || merged.times, updated_at = now()
     from merged where recipients.project_id = merged.project_id and recipients.id = merged.id`,
    source.params,
  );
}
