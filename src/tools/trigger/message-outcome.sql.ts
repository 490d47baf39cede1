import type { ActivityStatus } from "../../domain/mail/activity-status.ts";
import type { EventDetail } from "../../domain/mail/event-detail.ts";
import type { EmailEventType } from "../../domain/mail/event-names.ts";
import type { Database } from "../../storage/database.ts";
import { recipientAsSent } from "../../storage/stored-facts.ts";

/** The state of some SNS messages. @property quarantined the reasons of those that cannot be applied. */
export type AppliedMessages = { applied: number; quarantined: string[] };

/** @param since none of the messages was published before this time. */
export async function appliedMessages(
  db: Database,
  topic: { project_id: string; id: string },
  snsMessageIds: readonly string[],
  since: Date,
): Promise<AppliedMessages> {
  const rows = await db.query<{ is_applied: boolean; quarantine_reason: string | null }>(
    `select applied_at is not null as is_applied, quarantine_reason
     from notifications join batches on batches.id = batch_id
     where project_id = $1 and topic_id = $2 and sns_message_id = any($3::uuid[]) and sns_timestamp >= $4`,
    [topic.project_id, topic.id, snsMessageIds, since],
  );
  const applied = rows.filter(({ is_applied }) => is_applied);
  return { applied: applied.length, quarantined: applied.flatMap((row) => row.quarantine_reason ?? []) };
}

/** An email to one recipient, with the fields that a notification affects. */
export type OutcomeRow = {
  id: string;
  recipient: string;
  message_id: string;
  current_status: ActivityStatus;
  is_suppressed: boolean;
};

export type OutcomeEvent = {
  owner_id: string;
  id: string;
  type: EmailEventType;
  occurred_at: Date;
  detail: EventDetail;
  discarded: string | null;
};

/** The activities of some emails, by address, and all their events in time order. */
export async function outcomeOfMessages(
  db: Database,
  projectId: string,
  messageIds: readonly string[],
): Promise<{ rows: OutcomeRow[]; events: OutcomeEvent[] }> {
  const rows = await db.query<OutcomeRow>(
    `select id, ${recipientAsSent} as recipient, message_id, current_status,
       exists (select from suppressions where suppressions.project_id = activity.project_id
         and address = activity.recipient) as is_suppressed
     from activity where project_id = $1 and message_id = any($2::text[]) order by message_id, recipient`,
    [projectId, messageIds],
  );
  const events = await db.query<OutcomeEvent>(
    `select owner_id, id, type, occurred_at, detail, discarded from events
     where project_id = $1 and owner_id = any($2::uuid[]) order by occurred_at, id`,
    [projectId, rows.map(({ id }) => id)],
  );
  return { rows, events };
}

/** @property status of the last attempt; null: no response, or no attempt yet. */
export type OutcomeDelivery = {
  id: string;
  event_type: string;
  url: string;
  state: string;
  attempts: number;
  status: number | null;
};

export async function outcomeOfDeliveries(
  db: Database,
  projectId: string,
  ids: readonly string[],
): Promise<OutcomeDelivery[]> {
  return db.query<OutcomeDelivery>(
    `select deliveries.id, event_type, url, deliveries.state, attempts,
       (select status from attempts where attempts.project_id = deliveries.project_id
          and delivery_id = deliveries.id order by started_at desc limit 1) as status
     from deliveries join webhook_endpoints endpoint
       on endpoint.project_id = deliveries.project_id and endpoint.id = endpoint_id
     where deliveries.project_id = $1 and deliveries.id = any($2::uuid[]) order by deliveries.id`,
    [projectId, ids],
  );
}
