import type { EmailEvent } from "../src/domain/email-event.ts";
import { type Suppression, suppressionOf } from "../src/domain/suppression.ts";
import type { ActivityRow } from "../src/storage/activity.ts";
import type { Database } from "../src/storage/database.ts";
import { suppress } from "../src/storage/suppressions.ts";
import type { ChangedActivity } from "./changed-activity.ts";

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
