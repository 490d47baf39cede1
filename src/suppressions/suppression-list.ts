import type { Clock } from "../clock.ts";
import { listChangeWebhook } from "../domain/webhooks/event.ts";
import type { Logger } from "../logger.ts";
import type { Queues } from "../queue/queues.ts";
import type { Database } from "../storage/database.ts";
import { addToList, type ListedReason, removeFromList } from "../storage/suppressions.ts";
import { oweDeliveries, wakeLanes } from "../webhooks/owe-deliveries.ts";

export type ListContext = {
  db: Database;
  clock: Pick<Clock, "now" | "newId">;
  queues: Pick<Queues, "wakeDeliver">;
  log: Logger;
};

/** @property address in the form that is matched. */
export type AddressToSuppress = { address: string; reason: ListedReason; tenant_name: string | null };

/**
 * Suppresses addresses by hand, all or none, and sends webhooks about new ones.
 * @returns the number of newly suppressed addresses.
 */
export async function suppressByHand(
  context: ListContext,
  projectId: string,
  listed: readonly AddressToSuppress[],
): Promise<number> {
  const { db, clock } = context;
  const now = clock.now();
  const { added, lanes } = await db.transaction(async (tx) => {
    const rows = listed.map((one) => ({ project_id: projectId, since: now, ...one }));
    const unlisted = await addToList(tx, rows);
    // If an address is given twice, the first one stands.
    const reasons = new Map(listed.toReversed().map((one) => [nameOf(one), one.reason]));
    const webhooks = unlisted.map((one) => {
      const reason = reasons.get(nameOf(one)) ?? "manual";
      const change = {
        recipient: one.address,
        reason,
        tenant_name: one.tenant_name,
        source_event_id: null,
      };
      const webhook = listChangeWebhook(clock.newId(), "suppression.added", projectId, change, now);
      return { project_id: projectId, webhook };
    });
    return { added: unlisted.length, lanes: await oweDeliveries(tx, webhooks) };
  });
  await wakeLanes(context, lanes);
  return added;
}

function nameOf({ address, tenant_name }: Pick<AddressToSuppress, "address" | "tenant_name">): string {
  return JSON.stringify([address, tenant_name]);
}

/**
 * Lifts a suppression, whatever caused it, and sends webhooks about it.
 * @param tenantName whose list it is on; null: the project's list.
 * @returns whether the address was suppressed.
 */
export async function liftSuppression(
  context: ListContext,
  projectId: string,
  address: string,
  tenantName: string | null,
): Promise<boolean> {
  const { db, clock } = context;
  const lanes = await db.transaction(async (tx) => {
    const removed = await removeFromList(tx, projectId, address, tenantName);
    if (removed === null) return null;
    const change = { recipient: address, tenant_name: tenantName, ...removed };
    const webhook = listChangeWebhook(clock.newId(), "suppression.removed", projectId, change, clock.now());
    return oweDeliveries(tx, [{ project_id: projectId, webhook }]);
  });
  if (lanes === null) return false;
  await wakeLanes(context, lanes);
  return true;
}
