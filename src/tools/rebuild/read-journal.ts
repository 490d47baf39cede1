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
 * One step of the first phase: records which activities the next notifications are about.
 * @returns the rebuild after the step.
 */
export async function readJournalStep(db: Database, rebuild: Rebuild, limit: number): Promise<Rebuild> {
  const days = await journalDays(db);
  // Only written by recordStep below.
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

/** The activities that a notification is about. One that cannot be read has none, and stays quarantined. */
function sourcesOf({ notification, told }: ReadNotification) {
  if (told.kind !== "events") return [];
  return told.events.map(({ facts: { message_id, recipient } }) => ({
    ...keyOf(notification),
    message_id,
    recipient,
  }));
}

/** Earlier versions ignored these. No webhooks are sent for them. */
function statusesOf({ notification: { project_id }, told }: ReadNotification) {
  return told.kind === "account_status" ? [{ project_id, ...told.status }] : [];
}
