import type { Database } from "../../src/storage/database.ts";
import type { Findings } from "./findings.ts";

/*
 * Triggers in the database see what is wrong for a moment only, and has been put right by the end.
 */

/** Writes down each delivery that is taken back after it had succeeded. */
export async function installAuditor(db: Database): Promise<void> {
  await db.query(
    "create table chaos_audit (at timestamptz not null default clock_timestamp(), what text not null)",
  );
  await db.query(
    `create function chaos_note_delivery() returns trigger language plpgsql as $$ begin
       insert into chaos_audit (what) values ('delivery of ' || new.event_id || ' had succeeded and is ' || new.state || ' again');
       return null;
     end $$`,
  );
  await db.query(
    `create trigger chaos_deliveries after update on deliveries for each row
     when (old.state = 'succeeded' and new.state <> 'succeeded') execute function chaos_note_delivery()`,
  );
}

export async function readAuditor(db: Database, findings: Findings): Promise<void> {
  for (const { what } of await db.query<{ what: string }>("select what from chaos_audit"))
    findings.add("webhook", what);
}
