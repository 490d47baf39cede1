import { randomUUID } from "node:crypto";
import type { AcceptedNotification } from "../../src/storage/journal.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";

const topicId = randomUUID();

/** A notification as the receiver hands it to the journal; all are of one topic. */
export function notification(fields: Partial<AcceptedNotification> = {}): AcceptedNotification {
  return {
    project_id: defaultProjectId,
    topic_id: topicId,
    sns_message_id: randomUUID(),
    sns_timestamp: new Date("2026-11-22T10:00:00.123Z"),
    body: '{"Message":"x"}',
    ...fields,
  };
}
