import type { Dispatcher } from "undici";
import type { Clock } from "../clock.ts";
import type { AttemptResult, MadeAttempt } from "../domain/delivery-outcome.ts";
import { packageVersion } from "../package-info.ts";
import type { AttemptRow } from "../storage/delivery-leases.ts";
import type { Tracing } from "../tracing/tracing.ts";
import { postWebhook } from "../webhooks/post.ts";
import type { EndpointKeys } from "./endpoint-keys.ts";

const userAgent = `Fanmail/${packageVersion}`;

export type PostContext = {
  clock: Clock;
  webhookDispatcher: Dispatcher;
  tracing: Pick<Tracing, "startPost">;
};

/** What an attempt is made to, with its secrets opened. */
export type PostedEndpoint = { id: string; url: string; legacy_signature: boolean } & EndpointKeys;

type Posted = { id: string; event_id: string; body: string; attempts: number; traceparent: string | null };

/** An attempt, and the row that tells of it; no row when none was made. */
export type Attempt = { result: AttemptResult; row: AttemptRow | null };

/** Posts a delivery once. Never rejects. @param stopping breaks the attempt off. */
export async function makeAttempt(
  { clock, webhookDispatcher, tracing }: PostContext,
  endpoint: PostedEndpoint,
  delivery: Posted,
  stopping: AbortSignal,
): Promise<Attempt> {
  const number = delivery.attempts + 1;
  const { url, secrets, headers, legacy_signature } = endpoint;
  const startedAt = clock.now();
  const traced = tracing.startPost({
    traceparent: delivery.traceparent,
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
      traceparent: traced?.traceparent ?? null,
    },
    { dispatcher: webhookDispatcher, now: clock.now, userAgent, stopping },
  );
  traced?.end(result);
  if (result.kind !== "made") return { result, row: null };
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
