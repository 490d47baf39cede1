import type { Database } from "../src/storage/database.ts";
import type { Mailing } from "./emails.ts";

const dayMs = 86_400_000;
const daysWithEvents = 60;

/**
 * Writes what a shop reports about its customers: for each ten emails of the mailing one custom event, a tenth of them
 * orders, spread over the days before the newest email. It needs the partitions of the mailing.
 */
export async function insertCustomEvents(db: Database, { projectId, emails, until }: Mailing): Promise<void> {
  const count = Math.floor(emails / 10);
  await db.query(
    `insert into recipients (project_id, id, address)
     select distinct on (recipient) project_id, md5(recipient)::uuid, recipient
     from activity where project_id = $1 on conflict do nothing`,
    [projectId],
  );
  await db.query(
    `with people as (
       select id, row_number() over () as place from recipients where project_id = $1
     ), numbered as (
       select n, 1 + n % (select count(*) from people) as place, $2::timestamptz - n * $3::double precision * interval '1 millisecond' as at
       from generate_series(1, $4::integer) as n
     )
     insert into events (project_id, owner_id, occurred_at, id, type, name, detail, created_at)
     select $1, people.id, at, md5('custom' || n)::uuid, 'custom',
       case when n % 10 = 0 then 'confirmation' else 'productview' end,
       jsonb_build_object('properties', jsonb_build_object('sku', 'SKU-' || n % 5000, 'price', n % 200)), at
     from numbered join people using (place)
     order by at`,
    [projectId, until, (daysWithEvents * dayMs) / count, count],
  );
  for (const table of ["recipients", "events"]) await db.query(`vacuum analyze ${table}`);
}
