import type { WebhookEvent } from "../domain/webhooks/event.ts";
import type { Database } from "./database.ts";
import { type AttemptRow, insertAttempts } from "./delivery-leases.ts";

/**
 * Writes the delivery of a test, which is posted at once by us. Should we die of it, a lane posts it when the lease has
 * expired.
 */
export async function insertLeasedDelivery(
  db: Database,
  endpoint: { project_id: string; id: string },
  event: WebhookEvent,
  delivery: { id: string; leaseId: string; leaseSeconds: number },
): Promise<void> {
  await db.query(
    `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, lease_id, lease_expires_at)
     values ($1, $2, $3, $4, $5, $6, 'leased', $7, now() + $8 * interval '1 second')`,
    [
      endpoint.project_id,
      delivery.id,
      endpoint.id,
      event.id,
      event.type,
      event.body(),
      delivery.leaseId,
      delivery.leaseSeconds,
    ],
  );
}

/** Lists an attempt that was made by hand. A success ends the delivery; a failure leaves its schedule alone. */
export async function recordManualAttempt(
  tx: Database,
  delivery: { project_id: string; id: string },
  attempt: AttemptRow,
): Promise<void> {
  const params = [delivery.project_id, delivery.id];
  await tx.query(
    `update deliveries set attempts = attempts + 1, last_attempt_at = $3, last_status = $4, last_failure = $5
     where project_id = $1 and id = $2`,
    [...params, attempt.started_at, attempt.status, attempt.failure],
  );
  if (attempt.failure === null) {
    await tx.query(
      `update deliveries set state = 'succeeded', lease_id = null, lease_expires_at = null, finished_at = now()
       where project_id = $1 and id = $2 and state not in ('succeeded', 'cancelled')`,
      params,
    );
  }
  await insertAttempts(tx, delivery.project_id, [{ ...attempt, delivery_id: delivery.id, is_manual: true }]);
}
