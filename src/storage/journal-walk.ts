import type { Database } from "./database.ts";
import type { AcceptedNotification, NotificationKey } from "./journal.ts";

/** Until when retention has dropped days, or null. */
export async function droppedBefore(db: Database): Promise<Date | null> {
  const [last] = await db.query<{ end: Date | null }>(
    "select (max(day) + 1)::timestamptz as end from journal_drops",
  );
  return last?.end ?? null;
}

/** What of a day is walked: the rest of it after `after`, not before `since`, of one project or of all. */
export type JournalWalk = {
  day: string;
  after: NotificationKey | null;
  since: Date | null;
  projectId: string | null;
};

/** The next notifications of a day, in order of their key, which is not that of time. */
export async function walkJournal(
  db: Database,
  { day, after, since, projectId }: JournalWalk,
  limit: number,
): Promise<AcceptedNotification[]> {
  return db.query<AcceptedNotification>(
    `select project_id, topic_id, sns_message_id, sns_timestamp, body from notifications
     where sns_timestamp >= $1::date and sns_timestamp < $1::date + 1
       and ($2::timestamptz is null or sns_timestamp >= $2) and ($3::uuid is null or project_id = $3)
       and ($4::uuid is null or (project_id, topic_id, sns_message_id, sns_timestamp) > ($4, $5, $6, $7))
     order by project_id, topic_id, sns_message_id, sns_timestamp limit $8`,
    [
      day,
      since,
      projectId,
      after?.project_id ?? null,
      after?.topic_id ?? null,
      after?.sns_message_id ?? null,
      after?.sns_timestamp ?? null,
      limit,
    ],
  );
}

/** Where a walk through the journal goes on, as JSON: a day, and the last notification that was read of it. */
export type JournalPlace = {
  day: string;
  after: (Omit<NotificationKey, "sns_timestamp"> & { sns_timestamp: string }) | null;
};

/** Where a walk begins, or null when the journal has no day since then. */
export function firstPlace(days: readonly string[], since: Date | null): JournalPlace | null {
  const first = days.find((day) => since === null || day >= since.toISOString().slice(0, 10));
  return first === undefined ? null : { day: first, after: null };
}

/** Where the walk is that goes on at a place. */
export function walkFrom({ day, after }: JournalPlace): Pick<JournalWalk, "day" | "after"> {
  return { day, after: after && { ...after, sns_timestamp: new Date(after.sns_timestamp) } };
}

/**
 * The place after those that were read: further on in the day, where there were as many as asked for, or the next
 * day; null at the end.
 */
export function placeAfter(
  { day }: JournalPlace,
  read: readonly AcceptedNotification[],
  limit: number,
  days: readonly string[],
): JournalPlace | null {
  const last = read.at(-1);
  if (last && read.length === limit) {
    const { project_id, topic_id, sns_message_id, sns_timestamp } = last;
    const key = { project_id, topic_id, sns_message_id, sns_timestamp: sns_timestamp.toISOString() };
    return { day, after: key };
  }
  const next = days.find((later) => later > day);
  return next === undefined ? null : { day: next, after: null };
}

/** How many notifications the journal holds since a time, about. */
export async function estimateJournal(db: Database, since: Date | null): Promise<number> {
  const [sum] = await db.query<{ count: number }>(
    `select coalesce(sum(notification_count), 0)::double precision as count from batches
     where $1::timestamptz is null or last_timestamp >= $1`,
    [since],
  );
  return sum?.count ?? 0;
}

/** How many people of a project, or of all, are being erased. */
export async function countOpenErasures(db: Database, projectId: string | null): Promise<number> {
  const [open] = await db.query<{ count: number }>(
    `select count(*)::integer as count from erasures
     where finished_at is null and ($1::uuid is null or project_id = $1)`,
    [projectId],
  );
  return open?.count ?? 0;
}
