import { groupBy } from "../src/domain/group-by.ts";
import { emailWebhook, suppressionWebhook } from "../src/domain/webhooks/event.ts";
import { lanesToWake, owedDeliveries } from "../src/domain/webhooks/owed.ts";
import type { DeliverJob } from "../src/queue/jobs.ts";
import type { Database } from "../src/storage/database.ts";
import { insertDeliveries } from "../src/storage/webhooks/deliveries.ts";
import { listEndpoints } from "../src/storage/webhooks/endpoints.ts";
import type { ChangedActivity, SuppressionAdded } from "./suppress-recipients.ts";

/** What a batch came to. @property traceparents by the ids of events whose notification is traced. */
type WhatHappened = {
  changed: readonly ChangedActivity[];
  suppressions: readonly SuppressionAdded[];
  traceparents: ReadonlyMap<string, string>;
};

/**
 * Writes down what webhook endpoints are owed for what a batch came to.
 * @returns the lanes to wake.
 */
export async function tellSubscribers(
  tx: Database,
  { changed, suppressions, traceparents }: WhatHappened,
  recordedAt: Date,
): Promise<DeliverJob[]> {
  const endpoints = groupBy(await listEndpoints(tx), ({ project_id }) => project_id);
  const told = [
    ...changed.flatMap(({ row, facts, change }) => {
      const activity = { ...row, ...facts };
      return change.counted.map((event) => ({
        row,
        event,
        webhook: emailWebhook(activity, event, recordedAt),
      }));
    }),
    ...suppressions
      // SES held the email back by itself: this is the echo of a suppression, not a new one.
      .filter(({ suppression }) => !suppression.isEcho)
      .map(({ row, event, suppression }) => ({
        row,
        event,
        webhook: suppressionWebhook(row, event, suppression, recordedAt),
      })),
  ];
  const deliveries = told.flatMap(({ row: { project_id }, event, webhook }) => {
    const traceparent = traceparents.get(event.id) ?? null;
    const owed = owedDeliveries(webhook, endpoints.get(project_id) ?? []);
    return owed.map((delivery) => ({ project_id, traceparent, ...delivery }));
  });
  await insertDeliveries(tx, deliveries);
  return lanesToWake(deliveries);
}
