import { type ErasedPerson, impersonalDetail } from "../domain/erasure.ts";
import type { Database } from "../storage/database.ts";
import { exactTimeSql } from "../storage/pages.ts";
import { impersonalPart } from "./erasures.sql.ts";

/** The progress of a walk over a project's events. */
export type EventPlace = { owner_id: string; time: string; id: string };

/**
 * Erases a person from the next events of other people's emails: a server may have named the address in a bounce, in
 * a text or an unnamed field. The person's own events are erased with their rows.
 * @param after null at the beginning.
 * @returns the next place; null at the end.
 */
export async function eraseMentions(
  tx: Database,
  { project_id, address }: ErasedPerson & { project_id: string },
  after: EventPlace | null,
  limit: number,
): Promise<EventPlace | null> {
  const rows = await tx.query<EventPlace & { is_named: boolean }>(
    `select owner_id, ${exactTimeSql("occurred_at")} as time, id,
       type <> 'custom' and strpos(lower(detail::text), $2) > 0 as is_named
     from events
     where project_id = $1
       and ($3::uuid is null or (owner_id, occurred_at, id) > ($3::uuid, $4::timestamptz, $5::uuid))
     order by owner_id, occurred_at, id limit $6`,
    [project_id, address, after?.owner_id, after?.time, after?.id, limit],
  );
  const named = rows.filter(({ is_named }) => is_named);
  if (named.length > 0) await blankEvents(tx, project_id, named);
  const last = rows.at(-1);
  return last && rows.length === limit ? { owner_id: last.owner_id, time: last.time, id: last.id } : null;
}

/** Locks in the same order as workers. */
async function blankEvents(tx: Database, projectId: string, events: readonly EventPlace[]): Promise<void> {
  await tx.query(
    "select id from activity where project_id = $1 and id = any($2::uuid[]) order by project_id, id for update",
    [projectId, events.map(({ owner_id }) => owner_id)],
  );
  await tx.query(
    `update events set detail = ${impersonalPart("$5")}
     from unnest($2::uuid[], $3::timestamptz[], $4::uuid[]) as named (owner_id, occurred_at, id)
     where events.project_id = $1 and events.owner_id = named.owner_id
       and events.occurred_at = named.occurred_at and events.id = named.id`,
    [
      projectId,
      events.map(({ owner_id }) => owner_id),
      events.map(({ time }) => time),
      events.map(({ id }) => id),
      impersonalDetail,
    ],
  );
}
