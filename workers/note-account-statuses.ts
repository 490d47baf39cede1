import { groupBy } from "../src/domain/group-by.ts";
import { accountStatusWebhook } from "../src/domain/webhooks/event.ts";
import type { Lane } from "../src/domain/webhooks/owed.ts";
import { insertStatuses, type StatusRow } from "../src/storage/account-statuses.ts";
import type { Database } from "../src/storage/database.ts";
import { oweDeliveries } from "../src/webhooks/owe-deliveries.ts";

/**
 * Keeps what SES says of accounts, and writes down what webhook endpoints are owed for it.
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
  const owed: Lane[] = [];
  for (const [projectId, ofProject] of groupBy([...added.values()], ({ project_id }) => project_id)) {
    const webhooks = ofProject.map((status) => accountStatusWebhook(status, recordedAt));
    owed.push(...(await oweDeliveries(tx, projectId, webhooks)));
  }
  return { added: added.size, owed };
}
