import type { WebhookEvent } from "../domain/webhooks/event.ts";
import { type Lane, lanesToWake, owedDeliveries } from "../domain/webhooks/owed.ts";
import { errorText, type Logger } from "../logger.ts";
import type { Queues } from "../queue/queues.ts";
import type { Database } from "../storage/database.ts";
import { insertDeliveries } from "../storage/webhooks/deliveries.ts";
import { listEndpoints } from "../storage/webhooks/endpoints.ts";

/**
 * Writes down what the endpoints of a project are owed for what happened.
 * @param exceptId an endpoint that is not told.
 * @returns the lanes to wake.
 */
export async function oweDeliveries(
  tx: Database,
  projectId: string,
  webhooks: readonly WebhookEvent[],
  exceptId?: string,
): Promise<Lane[]> {
  const endpoints = (await listEndpoints(tx, projectId)).filter(({ id }) => id !== exceptId);
  const deliveries = webhooks.flatMap((webhook) =>
    owedDeliveries(webhook, endpoints).map((delivery) => ({ project_id: projectId, ...delivery })),
  );
  await insertDeliveries(tx, deliveries);
  return lanesToWake(deliveries);
}

/** The deliveries are durable: the sweep finds those of a lane that is not woken. */
export async function wakeLanes(
  { queues, log }: { queues: Pick<Queues, "wakeDeliver">; log: Logger },
  lanes: readonly Lane[],
): Promise<void> {
  if (lanes.length === 0) return;
  await queues.wakeDeliver(lanes).catch((error: unknown) => {
    log.warn({ cause: errorText(error) }, "lanes not woken");
  });
}
