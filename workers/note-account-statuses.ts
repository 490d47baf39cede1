import { accountStatusWebhook } from "../src/domain/webhooks/event.ts";
import type { Lane } from "../src/domain/webhooks/owed.ts";
import { insertStatuses, type StatusRow } from "../src/storage/account-statuses.ts";
import type { Database } from "../src/storage/database.ts";
import { oweDeliveries } from "../src/webhooks/owe-deliveries.ts";

/**
 * Stores what SES reports about accounts, and the webhooks that endpoints get for it.
 * @returns how many were not known, and the lanes to wake.
 */
export async function noteAccountStatuses(
  tx: Database,
  statuses: readonly StatusRow[],
  recordedAt: Date,
): Promise<{ added: number; owed: Lane[] }> {
  const addedIds = await insertStatuses(tx, statuses);
  // A batch may hold a status twice.
  const added = new Map(statuses.filter(({ id }) => addedIds.has(id)).map((status) => [status.id, status]));
  const webhooks = [...added.values()].map((status) => ({
    project_id: status.project_id,
    webhook: accountStatusWebhook(status, recordedAt),
  }));
  return { added: added.size, owed: await oweDeliveries(tx, webhooks) };
}
