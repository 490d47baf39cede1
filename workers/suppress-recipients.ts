import { emptyActivity } from "../src/domain/mail/activity.ts";
import type { ActivityChange } from "../src/domain/mail/activity-change.ts";
import type { EmailEvent } from "../src/domain/mail/email-event.ts";
import type { MailFacts } from "../src/domain/mail/mail-facts.ts";
import { type Suppression, suppressionOf, tenantSuppressionOf } from "../src/domain/mail/suppression.ts";
import type { ActivityRow } from "../src/storage/activity.ts";
import type { Database } from "../src/storage/database.ts";
import { eventsOfActivities } from "../src/storage/events.ts";
import { suppress, suppressForTenants } from "../src/storage/suppressions.ts";

/** An activity under lock, and what a batch tells of it. */
export type LockedActivity = {
  row: ActivityRow;
  /** Those of the row and of the batch together. */
  facts: MailFacts;
  events: EmailEvent[];
};

/** Its `events` are the new ones. */
export type ToldActivity = LockedActivity & {
  /** Events that were known, and of which the batch tells more. */
  enriched: EmailEvent[];
};

/** @property recordedAt of its events that are new or are decided about again, by id. */
export type ChangedActivity = ToldActivity & {
  change: ActivityChange;
  recordedAt: ReadonlyMap<string, Date>;
};

/** An address that was not suppressed before, and the event that says so. */
export type SuppressionAdded = { row: ActivityRow; event: EmailEvent; suppression: Suppression };

/** Suppresses the recipients whom the events of a batch say are not to be written to any more. */
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

/** Nobody is told: SES has held the email back itself. Without the tenant's name it is recorded for nobody. */
async function suppressForTheirTenants(tx: Database, changed: readonly ChangedActivity[]): Promise<void> {
  const ofTenants = changed.filter(({ facts }) => facts.tenant_name !== null);
  // Identity feedback has no tags: an event that is known may have waited for the name of its tenant.
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
