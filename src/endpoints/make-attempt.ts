import type { Dispatcher } from "undici";
import type { Clock } from "../clock.ts";
import type { AttemptResult, MadeAttempt } from "../domain/delivery-outcome.ts";
import { packageVersion } from "../package-info.ts";
import type { AttemptRow } from "../storage/delivery-leases.ts";
import { postWebhook } from "../webhooks/post.ts";
import type { EndpointKeys } from "./endpoint-keys.ts";

const userAgent = `Fanmail/${packageVersion}`;

export type PostContext = { clock: Clock; webhookDispatcher: Dispatcher };

/** What an attempt is made to, with its secrets opened. */
export type PostedEndpoint = { url: string; legacy_signature: boolean } & EndpointKeys;

type Posted = { event_id: string; body: string; attempts: number };

/** An attempt, and the row that tells of it; no row when none was made. */
export type Attempt = { result: AttemptResult; row: AttemptRow | null };

/** Posts a delivery once. Never rejects. @param stopping breaks the attempt off. */
export async function makeAttempt(
  { clock, webhookDispatcher }: PostContext,
  endpoint: PostedEndpoint,
  { event_id, body, attempts }: Posted,
  stopping: AbortSignal,
): Promise<Attempt> {
  const number = attempts + 1;
  const { url, secrets, headers, legacy_signature } = endpoint;
  const startedAt = clock.now();
  const result = await postWebhook(
    { url, eventId: event_id, body, attempt: number, secrets, headers, legacySignature: legacy_signature },
    { dispatcher: webhookDispatcher, now: clock.now, userAgent, stopping },
  );
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
