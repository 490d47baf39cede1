import { groupBy } from "../domain/maps.ts";
import type { WebhookEvent } from "../domain/webhooks/event.ts";
import { type Lane, lanesToWake, owedDeliveries } from "../domain/webhooks/owed.ts";
import { errorText, type Logger } from "../logger.ts";
import type { Queues } from "../queue/queues.ts";
import type { Database } from "../storage/database.ts";
import { insertDeliveries } from "../storage/webhooks/deliveries.ts";
import { listEndpoints } from "../storage/webhooks/endpoints.ts";

/** A webhook for the endpoints of a project. @property traceparent of the notification behind it, if that is traced. */
export type OwedWebhook = { project_id: string; webhook: WebhookEvent; traceparent?: string | null };

/**
 * Stores a delivery for each endpoint that subscribes to a webhook of its project.
 * @param exceptId an endpoint that gets none.
 * @returns the lanes to wake once the transaction is committed.
 */
export async function oweDeliveries(
  tx: Database,
  webhooks: readonly OwedWebhook[],
  exceptId?: string,
): Promise<Lane[]> {
  const projectIds = [...new Set(webhooks.map(({ project_id }) => project_id))];
  if (projectIds.length === 0) return [];
  const endpoints = (await listEndpoints(tx, projectIds)).filter(({ id }) => id !== exceptId);
  const subscribers = groupBy(endpoints, ({ project_id }) => project_id);
  const deliveries = webhooks.flatMap(({ project_id, webhook, traceparent = null }) =>
    owedDeliveries(webhook, subscribers.get(project_id) ?? []).map((delivery) => ({
      ...delivery,
      project_id,
      traceparent,
    })),
  );
  await insertDeliveries(tx, deliveries);
  return lanesToWake(deliveries);
}

/** A failure is logged only: the deliveries are durable, and the sweep finds lanes that were not woken. */
export async function wakeLanes(
  { queues, log }: { queues: Pick<Queues, "wakeDeliver">; log: Logger },
  lanes: readonly Lane[],
): Promise<void> {
  if (lanes.length === 0) return;
  await queues.wakeDeliver(lanes).catch((error: unknown) => {
    log.warn({ cause: errorText(error) }, "lanes not woken");
  });
}
