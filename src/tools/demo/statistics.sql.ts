import type { EmailEventType } from "../../domain/mail/event-names.ts";
import type { Database } from "../../storage/database.ts";

export type EventCount = { type: EmailEventType; counted: number; discarded: number };

/** How many events of each type a project has. */
export async function countEvents(db: Database, projectId: string): Promise<EventCount[]> {
  return db.query<EventCount>(
    `select type, (count(*) filter (where discarded is null))::integer as counted,
       (count(*) filter (where discarded is not null))::integer as discarded
     from events where project_id = $1 group by type order by type`,
    [projectId],
  );
}

export type JournalCount = { stored: number; quarantined: number };

export async function countNotifications(db: Database, projectId: string): Promise<JournalCount> {
  const [count] = await db.query<JournalCount>(
    `select count(*)::integer as stored, count(quarantine_reason)::integer as quarantined
     from notifications where project_id = $1`,
    [projectId],
  );
  return count ?? { stored: 0, quarantined: 0 };
}

/** Totals of the batches of all projects. */
export async function sumBatches(
  db: Database,
): Promise<{ unapplied: number; repeated: number; ignored: number }> {
  const [sum] = await db.query<{ unapplied: number; repeated: number; ignored: number }>(
    `select (count(*) filter (where applied_at is null))::integer as unapplied,
       coalesce(sum(repeated_count), 0)::integer as repeated, coalesce(sum(ignored_count), 0)::integer as ignored
     from batches`,
  );
  return sum ?? { unapplied: 0, repeated: 0, ignored: 0 };
}

/** Discarded events of a project by reason. */
export async function countDiscards(db: Database, projectId: string): Promise<Map<string, number>> {
  const rows = await db.query<{ reason: string; count: number }>(
    `select discarded as reason, count(*)::integer as count from events
     where project_id = $1 and discarded is not null group by discarded order by discarded`,
    [projectId],
  );
  return new Map(rows.map(({ reason, count }) => [reason, count]));
}

export async function countSuppressions(db: Database, projectId: string): Promise<number> {
  const [row] = await db.query<{ count: number }>(
    "select count(*)::integer as count from suppressions where project_id = $1",
    [projectId],
  );
  return row?.count ?? 0;
}

/** Deliveries of a project by state. */
export async function countDeliveryStates(db: Database, projectId: string): Promise<Map<string, number>> {
  const rows = await db.query<{ state: string; count: number }>(
    "select state, count(*)::integer as count from deliveries where project_id = $1 group by state",
    [projectId],
  );
  return new Map(rows.map(({ state, count }) => [state, count]));
}
