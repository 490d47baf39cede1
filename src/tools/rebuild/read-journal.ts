import { type Interpretation, interpretNotification } from "../../domain/mail/interpret-notification.ts";
import { insertStatuses } from "../../storage/account-statuses.ts";
import type { Database } from "../../storage/database.ts";
import type { AcceptedNotification, NotificationKey } from "../../storage/journal.ts";
import {
  firstPlace,
  type JournalPlace,
  placeAfter,
  walkFrom,
  walkJournal,
} from "../../storage/journal-walk.ts";
import { journalDays } from "../../storage/partitions.ts";
import { addSources, type Rebuild, recordStep } from "./rebuilds.sql.ts";

/**
 * The first phase, one step of it: notes of the next notifications which activities they tell of.
 * @returns the rebuild after the step.
 */
export async function readJournalStep(db: Database, rebuild: Rebuild, limit: number): Promise<Rebuild> {
  const days = await journalDays(db);
  // Written by recordStep below, and by nobody else.
  const place = (rebuild.place as JournalPlace | null) ?? firstPlace(days, rebuild.since);
  if (place === null) return recordStep(db, rebuild, { ...rebuild, phase: "comparing", place: null });
  const walk = { ...walkFrom(place), since: rebuild.since, projectId: rebuild.project_id };
  const notifications = await walkJournal(db, walk, limit);
  const next = placeAfter(place, notifications, limit, days);
  return db.transaction(async (tx) => {
    const readOnes = notifications.map(read);
    await addSources(tx, rebuild.id, readOnes.flatMap(sourcesOf));
    if (!rebuild.dry_run) await insertStatuses(tx, readOnes.flatMap(statusesOf));
    return recordStep(tx, rebuild, {
      ...rebuild,
      notification_count: rebuild.notification_count + notifications.length,
      phase: next === null ? "comparing" : "reading",
      place: next,
    });
  });
}

function keyOf({
  project_id,
  topic_id,
  sns_message_id,
  sns_timestamp,
}: AcceptedNotification): NotificationKey {
  return { project_id, topic_id, sns_message_id, sns_timestamp };
}

type ReadNotification = { notification: AcceptedNotification; told: Interpretation };

function read(notification: AcceptedNotification): ReadNotification {
  const { project_id, body, sns_timestamp } = notification;
  return { notification, told: interpretNotification(project_id, body, sns_timestamp) };
}

/** The activities that a notification tells of. One that cannot be read tells of none, and stays quarantined. */
function sourcesOf({ notification, told }: ReadNotification) {
  if (told.kind !== "events") return [];
  return told.events.map(({ facts: { message_id, recipient } }) => ({
    ...keyOf(notification),
    message_id,
    recipient,
  }));
}

/** An earlier version set these aside. No webhook goes out for them. */
function statusesOf({ notification: { project_id }, told }: ReadNotification) {
  return told.kind === "account_status" ? [{ project_id, ...told.status }] : [];
}
