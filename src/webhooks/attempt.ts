import type { Clock } from "../clock.ts";
import type { AttemptResult, MadeAttempt } from "../domain/webhooks/outcome.ts";
import type { Logger } from "../logger.ts";
import { packageVersion } from "../package-info.ts";
import type { AttemptRow } from "../storage/webhooks/leases.ts";
import type { Tracing } from "../tracing/tracing.ts";
import type { WebhookConnections } from "./connections.ts";
import { postWebhook } from "./post.ts";
import type { EndpointSecrets } from "./secret-box.ts";

const userAgent = `Fanmail/${packageVersion}`;

type AttemptContext = {
  clock: Clock;
  webhookConnections: WebhookConnections;
  tracing: Pick<Tracing, "startPost">;
  log: Logger;
};

/** An endpoint with its secrets decrypted. */
export type PostedEndpoint = { id: string; url: string; legacy_signature: boolean } & EndpointSecrets;

type AttemptedDelivery = {
  id: string;
  event_id: string;
  body: string;
  attempts: number;
  traceparent?: string | null;
};

/** An attempt, and its row; null when none was made. */
type Attempt = { result: AttemptResult; row: AttemptRow | null };

/** Posts a delivery once, traces and logs the attempt. Never rejects. @param stopping aborts it. */
export async function makeAttempt(
  { clock, webhookConnections, tracing, log }: AttemptContext,
  endpoint: PostedEndpoint,
  delivery: AttemptedDelivery,
  stopping: AbortSignal,
): Promise<Attempt> {
  const number = delivery.attempts + 1;
  const { url, secrets, headers, legacy_signature } = endpoint;
  const startedAt = clock.now();
  const traced = tracing.startPost({
    traceparent: delivery.traceparent ?? null,
    endpointId: endpoint.id,
    deliveryId: delivery.id,
    attempt: number,
  });
  const result = await postWebhook(
    {
      url,
      eventId: delivery.event_id,
      body: delivery.body,
      attempt: number,
      secrets,
      headers,
      legacySignature: legacy_signature,
      traceparent: traced?.traceparent,
    },
    { connections: webhookConnections, now: clock.now, userAgent, stopping },
  );
  traced?.end(result);
  if (result.kind !== "made") return { result, row: null };
  const { status, failure } = result;
  const logged = { endpoint_id: endpoint.id, delivery_id: delivery.id, attempt: number, status, failure };
  // Without the body and the URL, which may hold secrets.
  if (failure === null) log.debug(logged, "webhook posted");
  else log.info(logged, "webhook failed");
  const durationMs = Math.max(0, clock.now().getTime() - startedAt.getTime());
  return { result, row: attemptRow(clock.newId(), number, startedAt, durationMs, result) };
}

function attemptRow(
  id: string,
  number: number,
  startedAt: Date,
  durationMs: number,
  { status, failure, message, excerpt }: MadeAttempt,
): AttemptRow {
  return { id, number, started_at: startedAt, duration_ms: durationMs, status, failure, message, excerpt };
}
