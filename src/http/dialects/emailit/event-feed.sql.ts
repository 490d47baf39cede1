import type { EventDetail } from "../../../domain/mail/event-detail.ts";
import type { EmailEventType } from "../../../domain/mail/event-names.ts";
import { conditions } from "../../../storage/conditions.ts";
import type { Database } from "../../../storage/database.ts";
import { exactTimeSql, type Page, pageLimit } from "../../../storage/pages.ts";
import { recipientAsSent } from "../../../storage/stored-facts.ts";

/** An event of an email with its activity, or a custom event with its recipient. */
export type FedEvent = {
  id: string;
  occurred_at: string;
  recorded_at: string;
} & (
  | {
      type: EmailEventType;
      detail: EventDetail;
      activity_id: string;
      message_id: string;
      recipient: string;
      sender_email: string | null;
      subject: string | null;
    }
  | {
      type: "custom";
      name: string;
      properties: Record<string, unknown>;
      recipient_id: string;
      recipient: string;
    }
);

export type FeedFilter = {
  projectId: string;
  /** `custom` is one of the types. */
  types: readonly (EmailEventType | "custom")[];
  isHardBounce?: boolean | undefined;
  /** The name of a custom event. */
  name?: string | undefined;
  /** The exact time, for finding one event. */
  occurredAt?: Date | undefined;
};

/** Newest first, without discarded events and automatic replies. */
export async function feedEvents(
  db: Database,
  filter: FeedFilter,
  page: Omit<Page, "after">,
): Promise<FedEvent[]> {
  const { add, where, params } = conditions();
  add("project_id = ?", filter.projectId);
  add("type = any(?::text[])", filter.types);
  add("occurred_at = ?::timestamptz", filter.occurredAt);
  add("name = ?", filter.name);
  add("(detail ->> 'bounce_type' is not distinct from 'Permanent') = ?", filter.isHardBounce);
  add("discarded is null and detail -> 'auto_reply' is null");
  return db.query<FedEvent>(
    `with page as materialized (
       select * from events where ${where()} order by occurred_at desc, id desc
       ${pageLimit(page)})
     select page.id, page.type, page.name, ${exactTimeSql("page.occurred_at")} as occurred_at,
       ${exactTimeSql("greatest(page.occurred_at, page.created_at)")} as recorded_at, page.detail,
       page.detail -> 'properties' as properties, coalesce(activity.tagged_id, activity.id) as activity_id,
       activity.message_id, activity.sender_email, activity.subject, recipients.id as recipient_id,
       coalesce(${recipientAsSent}, recipients.address) as recipient
     from page
     left join activity on page.type <> 'custom'
       and activity.project_id = page.project_id and activity.id = page.owner_id
     left join recipients on page.type = 'custom'
       and recipients.project_id = page.project_id and recipients.id = page.owner_id
     order by page.occurred_at desc, page.id desc`,
    params,
  );
}
