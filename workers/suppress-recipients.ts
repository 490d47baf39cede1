import { emptyActivity } from "../src/domain/mail/activity.ts";
import type { EmailEvent } from "../src/domain/mail/email-event.ts";
import { type Suppression, suppressionOf, tenantSuppressionOf } from "../src/domain/mail/suppression.ts";
import type { ActivityRow } from "../src/storage/activity.ts";
import type { Database } from "../src/storage/database.ts";
import { eventsOfActivities } from "../src/storage/events.ts";
import { suppress, suppressForTenants } from "../src/storage/suppressions.ts";
import type { ChangedActivity } from "./fold-activities.ts";

/** A newly suppressed address, and the event that suppressed it. */
export type SuppressionAdded = { row: ActivityRow; event: EmailEvent; suppression: Suppression };

/** Suppresses recipients because of the events of a batch. */
export async function suppressRecipients(
  tx: Database,
  changed: readonly ChangedActivity[],
): Promise<SuppressionAdded[]> {
  const asked = changed.flatMap(({ row, facts, events, enriched }) =>
    [...events, ...enriched].flatMap((event) => {
      const suppression = suppressionOf(event, row.is_test);
      return suppression ? [{ row: { ...row, ...facts }, event, suppression }] : [];
    }),
  );
  await suppressForTheirTenants(tx, changed);
  if (asked.length === 0) return [];
  const added = await suppress(tx, asked.map(suppressionRow));
  return asked.filter(({ event }) => added.has(event.id));
}

function suppressionRow({ row, event, suppression }: SuppressionAdded) {
  return {
    project_id: row.project_id,
    address: row.recipient,
    reason: suppression.reason,
    source_event_id: event.id,
    since: event.occurred_at,
  };
}

/** No webhook is sent, because SES held the email back itself. Without the tenant's name nothing is recorded. */
async function suppressForTheirTenants(tx: Database, changed: readonly ChangedActivity[]): Promise<void> {
  const ofTenants = changed.filter(({ facts }) => facts.tenant_name !== null);
  // Identity feedback has no tags, so a known event may have been waiting for its tenant's name.
  const named = ofTenants.filter(({ row }) => row.tenant_name === null && isKnown(row)).map(({ row }) => row);
  const histories = named.length > 0 ? await eventsOfActivities(tx, named) : new Map<string, EmailEvent[]>();
  const asked = ofTenants.flatMap((one) =>
    [...one.events, ...one.enriched, ...(histories.get(one.row.id) ?? [])].flatMap((event) =>
      tenantRows(one, event),
    ),
  );
  if (asked.length > 0) await suppressForTenants(tx, asked);
}

function isKnown({ current_status }: ActivityRow): boolean {
  return current_status !== emptyActivity.current_status;
}

function tenantRows({ row, facts: { tenant_name } }: ChangedActivity, event: EmailEvent) {
  const reason = tenantSuppressionOf(event, row.is_test);
  if (reason === null || tenant_name === null) return [];
  const { project_id, recipient: address } = row;
  return [{ project_id, address, tenant_name, reason, source_event_id: event.id, since: event.occurred_at }];
}
