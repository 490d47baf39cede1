import { isoDay } from "../domain/time-text.ts";
import type { Database } from "./database.ts";
import type { AcceptedNotification, NotificationKey } from "./journal.ts";

/** The end of the days that retention has dropped, or null. */
export async function droppedBefore(db: Database): Promise<Date | null> {
  const [last] = await db.query<{ end: Date | null }>(
    "select (max(day) + 1)::timestamptz as end from journal_drops",
  );
  return last?.end ?? null;
}

/** The part of a day to read: after `after`, not before `since`, of one project or of all. */
export type JournalWalk = {
  day: string;
  after: NotificationKey | null;
  since: Date | null;
  projectId: string | null;
};

/** The next notifications of a day, in order of their key. */
export async function walkJournal(
  db: Database,
  { day, after, since, projectId }: JournalWalk,
  limit: number,
): Promise<AcceptedNotification[]> {
  return db.query<AcceptedNotification>(
    `select project_id, topic_id, sns_message_id, sns_timestamp, body from notifications
     where sns_timestamp >= $1::date and sns_timestamp < $1::date + 1
       and ($2::timestamptz is null or sns_timestamp >= $2) and ($3::uuid is null or project_id = $3)
       and ($4::uuid is null or (project_id, topic_id, sns_timestamp, sns_message_id) > ($4, $5, $6, $7))
     order by project_id, topic_id, sns_timestamp, sns_message_id limit $8`,
    [
      day,
      since,
      projectId,
      after?.project_id ?? null,
      after?.topic_id ?? null,
      after?.sns_timestamp ?? null,
      after?.sns_message_id ?? null,
      limit,
    ],
  );
}

/**
 * The next place of a walk through the journal, as JSON.
 * @property past the last notification read of the day. Earlier versions read in another order and stored `after`; then the
 *   day is read again.
 */
export type JournalPlace = {
  day: string;
  past: (Omit<NotificationKey, "sns_timestamp"> & { sns_timestamp: string }) | null;
};

/** The first place of a walk, or null if the journal has no day since then. */
export function firstPlace(days: readonly string[], since: Date | null): JournalPlace | null {
  const first = days.find((day) => since === null || day >= isoDay(since));
  return first === undefined ? null : { day: first, past: null };
}

/** The walk that continues at a place. */
export function walkFrom({ day, past }: JournalPlace): Pick<JournalWalk, "day" | "after"> {
  return { day, after: past ? { ...past, sns_timestamp: new Date(past.sns_timestamp) } : null };
}

/**
 * The place after the notifications that were read: further on in the day if there were `limit`, else the next day;
 * null at the end.
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
    return { day, past: key };
  }
  const next = days.find((later) => later > day);
  return next === undefined ? null : { day: next, past: null };
}

/** The approximate number of notifications in the journal since a time. */
export async function estimateJournal(db: Database, since: Date | null): Promise<number> {
  const [sum] = await db.query<{ count: number }>(
    `select coalesce(sum(notification_count), 0)::double precision as count from batches
     where $1::timestamptz is null or last_timestamp >= $1`,
    [since],
  );
  return sum?.count ?? 0;
}

/** The number of unfinished erasures of a project, or of all. */
export async function countOpenErasures(db: Database, projectId: string | null): Promise<number> {
  const [open] = await db.query<{ count: number }>(
    `select count(*)::integer as count from erasures
     where finished_at is null and ($1::uuid is null or project_id = $1)`,
    [projectId],
  );
  return open?.count ?? 0;
}
