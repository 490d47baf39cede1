import { counted, ended, excerpt, hostOf, spanText } from "../wording.ts";
import { type FactOf, rule } from "./rule.ts";

const lateSeconds = 15 * 60;
const veryLateSeconds = 3_600;

function isInTrouble({ oldest_due_seconds, failing_seconds }: FactOf<"lane">): boolean {
  return oldest_due_seconds > lateSeconds || failing_seconds > lateSeconds;
}

const late = {
  area: "webhooks",
  say({ id, url, due, oldest_due_seconds, failing_since }: FactOf<"lane">): string {
    const since = failing_since === null ? "" : `; it has failed since ${failing_since.toISOString()}`;
    return `The endpoint ${id} (${hostOf(url)}) has ${counted(due, "webhook")} due, the oldest for ${spanText(oldest_due_seconds)}${since}.`;
  },
  remedy: ({ id, failing_since }: FactOf<"lane">) =>
    failing_since === null
      ? "Check that fanmail worker runs, and max_in_flight and rate_per_second of the endpoint (PATCH /v1/webhooks/:id)."
      : `See what it answers: GET /v1/webhooks/${id}/deliveries, and try POST /v1/webhooks/${id}/test.`,
} as const;

type DisabledFact = FactOf<"disabled-endpoint">;

const disabledBecause: Record<DisabledFact["disabled_reason"], string> = {
  manual: "by hand",
  gone: "because it answered 410",
  failing: "because it failed for days",
};

const isAsWanted = ({ disabled_reason, held }: DisabledFact) => disabled_reason === "manual" && held === 0;

function disabledText({ id, url, disabled_reason, disabled_at, held }: DisabledFact): string {
  return `The endpoint ${id} (${hostOf(url)}) was disabled ${disabledBecause[disabled_reason]} at ${disabled_at.toISOString()}; ${counted(held, "webhook")} ${held === 1 ? "is" : "are"} held for it.`;
}

export const webhookRules = [
  rule("endpoints", {
    code: "endpoints-none",
    area: "webhooks",
    level: "ok",
    when: ({ enabled, disabled }) => enabled + disabled === 0,
    say: "There are no webhook endpoints.",
  }),
  rule("endpoints", {
    code: "endpoints",
    area: "webhooks",
    level: "ok",
    when: ({ enabled, disabled, lanes }) =>
      enabled + disabled > 0 && { enabled, inTrouble: lanes.filter(isInTrouble).length },
    say: ({ enabled, inTrouble }) =>
      `${counted(enabled, "webhook endpoint")} enabled, ${inTrouble === 0 ? "none" : inTrouble} of them in trouble.`,
  }),
  rule("lane", {
    ...late,
    code: "endpoint-late",
    level: "warn",
    when: (lane) => isInTrouble(lane) && lane.oldest_due_seconds <= veryLateSeconds && lane,
  }),
  rule("lane", {
    ...late,
    code: "endpoint-very-late",
    level: "fail",
    when: (lane) => lane.oldest_due_seconds > veryLateSeconds && lane,
  }),
  rule("disabled-endpoint", {
    code: "endpoint-disabled-by-hand",
    area: "webhooks",
    level: "ok",
    when: (endpoint) => isAsWanted(endpoint) && endpoint,
    say: disabledText,
  }),
  rule("disabled-endpoint", {
    code: "endpoint-disabled",
    area: "webhooks",
    level: "warn",
    when: (endpoint) => !isAsWanted(endpoint) && endpoint,
    say: disabledText,
    remedy: ({ id }) =>
      `Once it answers 2xx: npx fanmail endpoints enable ${id}, then POST /v1/webhooks/${id}/replays with scope undelivered. Remove it if it is not needed.`,
  }),
  rule("sealed-parts", {
    code: "secrets-open",
    area: "webhooks",
    level: "ok",
    when: ({ closed }) => closed.length === 0,
    say: "The secrets of all endpoints open with the encryption key.",
  }),
  rule("sealed-parts", {
    code: "secrets-closed",
    area: "webhooks",
    level: "fail",
    when: ({ closed }) => closed.length > 0 && { closed, reason: closed[0]?.reason ?? "" },
    say: ({ closed, reason }) =>
      `Secrets of ${counted(closed.length, "endpoint")} do not open, so nothing is posted to them: ${excerpt(closed.map(({ endpoint }) => endpoint).join(", "))}. ${ended(reason)}`,
    remedy:
      "Give ENCRYPTION_KEY (or ENCRYPTION_KEY_PREVIOUS) the key that they were encrypted with, or rotate their secrets: POST /v1/webhooks/:id/rotate-secret.",
  }),
];
