import type { Database } from "../../storage/database.ts";
import { endpointTotals } from "../../storage/webhooks/delivery-queries.ts";
import { boundToHeadersOf, createSecretBox, type SecretBox } from "../../webhooks/secret-box.ts";
import { fail, type Observation, ok, warn } from "./check.ts";
import {
  type DisabledHealth,
  disabledEndpoints,
  type LaneHealth,
  lanesBehind,
  type SealedHealth,
  sealedInUse,
} from "./health.sql.ts";
import { counted, ended, excerpt, spanText } from "./wording.ts";

const lateSeconds = 15 * 60;
const veryLateSeconds = 3_600;
/** More of a kind than anybody reads. */
const maxListed = 20;
const maxOpened = 10_000;

/** Endpoints that get nothing although they should, or not any more. */
export async function lookAtLanes(db: Database, now: Date): Promise<Observation[]> {
  const [{ enabled }, behind, disabled] = await Promise.all([
    endpointTotals(db),
    lanesBehind(db, maxListed),
    disabledEndpoints(db, maxListed),
  ]);
  const lanes = behind.flatMap((lane) => lookAtLane(lane, now));
  const general =
    enabled + disabled.length === 0 ? "There are no webhook endpoints." : summary(enabled, lanes.length);
  return [ok(general), ...lanes, ...disabled.map(lookAtDisabled)];
}

function summary(enabled: number, inTrouble: number): string {
  return `${counted(enabled, "webhook endpoint")} enabled, ${inTrouble === 0 ? "none" : inTrouble} of them in trouble.`;
}

function lookAtLane(lane: LaneHealth, now: Date): Observation[] {
  const { id, url, due, oldest_due_seconds: seconds, failing_since } = lane;
  const failingSeconds = failing_since === null ? 0 : (now.getTime() - failing_since.getTime()) / 1000;
  if (seconds <= lateSeconds && failingSeconds <= lateSeconds) return [];
  const since = failing_since === null ? "" : `; it has failed since ${failing_since.toISOString()}`;
  const what = `The endpoint ${id} (${hostOf(url)}) has ${counted(due, "webhook")} due, the oldest for ${spanText(seconds)}${since}.`;
  const remedy =
    failing_since === null
      ? "Look whether fanmail worker runs, and at max_in_flight and rate_per_second of the endpoint (PATCH /v1/webhooks/:id)."
      : `See what it answers: GET /v1/webhooks/${id}/deliveries, and try POST /v1/webhooks/${id}/test.`;
  return [seconds > veryLateSeconds ? fail(what, remedy) : warn(what, remedy)];
}

const reasons: Record<DisabledHealth["disabled_reason"], string> = {
  manual: "by hand",
  gone: "because it answered 410",
  failing: "because it failed for days",
};

function lookAtDisabled({ id, url, disabled_reason, disabled_at, held }: DisabledHealth): Observation {
  const what = `The endpoint ${id} (${hostOf(url)}) was disabled ${reasons[disabled_reason]} at ${disabled_at.toISOString()}; ${counted(held, "webhook")} ${held === 1 ? "is" : "are"} held for it.`;
  if (disabled_reason === "manual" && held === 0) return ok(what);
  return warn(
    what,
    `Once it answers 2xx: npx fanmail endpoints enable ${id}, then POST /v1/webhooks/${id}/replays with scope undelivered. Remove it if it is not needed.`,
  );
}

/** Whether secrets and headers open with our keys. @param keys null where none was made yet. */
export async function lookAtSecrets(db: Database, keys: readonly Buffer[] | null): Promise<Observation[]> {
  const sealed = await sealedInUse(db, maxOpened);
  if (sealed.length === 0) return [];
  const box = keys === null || keys.length === 0 ? null : createSecretBox(keys);
  const closed = new Map<string, string>();
  for (const part of sealed) {
    const reason = reasonClosed(box, part);
    if (reason !== null) closed.set(`${part.endpoint_id} (${hostOf(part.url)})`, reason);
  }
  if (closed.size === 0) return [ok("The secrets of all endpoints open with the encryption key.")];
  const [[, reason = ""] = []] = closed;
  return [
    fail(
      `Secrets of ${counted(closed.size, "endpoint")} do not open, so that nothing is posted to them: ${excerpt([...closed.keys()].join(", "))}. ${ended(reason)}`,
      "Give ENCRYPTION_KEY (or ENCRYPTION_KEY_PREVIOUS) the key that they were made with, or rotate their secrets: POST /v1/webhooks/:id/rotate-secret.",
    ),
  ];
}

function reasonClosed(box: SecretBox | null, { endpoint_id, kind, sealed }: SealedHealth): string | null {
  if (box === null) return "There is no encryption key";
  try {
    box.open(sealed, kind === "secret" ? endpoint_id : boundToHeadersOf(endpoint_id));
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A path may hold a token. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "its URL is malformed";
}
