import { z } from "zod";
import { uuidOrNull } from "../../domain/computed-id.ts";
import { hiddenValue } from "../../domain/webhooks/headers.ts";
import { breakerOf, type LaneState } from "../../domain/webhooks/lane-state.ts";
import { type Endpoint, findEndpoint } from "../../storage/webhooks/endpoints.ts";
import type { ApiContext } from "../api-context.ts";
import { ApiError } from "../errors.ts";

/** An endpoint as it is answered. */
export const Webhook = z.object({
  id: z.string(),
  url: z.string(),
  events: z.array(z.string()),
  description: z.string().nullable(),
  headers: z
    .record(z.string(), z.literal(hiddenValue))
    .meta({ description: "The names of its headers; their values are not shown" }),
  max_in_flight: z.number(),
  rate_per_second: z.number().nullable(),
  ordered: z.boolean(),
  legacy_signature: z.boolean(),
  state: z.enum(["enabled", "disabled"]),
  disabled_reason: z
    .enum(["manual", "gone", "failing"])
    .nullable()
    .meta({ description: "`gone`: it answered 410; `failing`: every attempt for five days" }),
  disabled_at: z.string().nullable(),
  created_at: z.string(),
  updated_at: z.string(),
});

/** How an endpoint has been doing. */
export const Health = z.object({
  breaker: z.enum(["closed", "open", "half_open"]).meta({
    description: "`open`: too much failed, and nothing is posted; `half_open`: one delivery is, and decides",
  }),
  paused_until: z.string().nullable().meta({ description: "Nothing is posted before" }),
  failing_since: z.string().nullable().meta({ description: "The first failure since the last success" }),
  last_success_at: z.string().nullable(),
});

export function presentHealth(lane: LaneState, now: Date): z.input<typeof Health> {
  const isPaused = lane.paused_until !== null && lane.paused_until > now;
  return {
    breaker: breakerOf(lane, now),
    paused_until: isPaused ? (lane.paused_until?.toISOString() ?? null) : null,
    failing_since: lane.failing_since?.toISOString() ?? null,
    last_success_at: lane.last_success_at?.toISOString() ?? null,
  };
}

export function present(endpoint: Endpoint): z.input<typeof Webhook> {
  return {
    id: endpoint.id,
    url: endpoint.url,
    events: endpoint.event_types,
    description: endpoint.description,
    headers: Object.fromEntries(endpoint.header_names.map((name) => [name, hiddenValue])),
    max_in_flight: endpoint.max_in_flight,
    rate_per_second: endpoint.rate_per_second,
    ordered: endpoint.ordered,
    legacy_signature: endpoint.legacy_signature,
    state: endpoint.state,
    disabled_reason: endpoint.disabled_reason,
    disabled_at: endpoint.disabled_at?.toISOString() ?? null,
    created_at: endpoint.created_at.toISOString(),
    updated_at: endpoint.updated_at.toISOString(),
  };
}

export const noSuchEndpoint = { 404: "There is no such webhook endpoint" };

/** @throws ApiError 404 when the project has no such endpoint. */
export async function endpointOf(
  { db }: Pick<ApiContext, "db">,
  projectId: string,
  id: string,
): Promise<Endpoint> {
  const uuid = uuidOrNull(id);
  const endpoint = uuid && (await findEndpoint(db, projectId, uuid));
  if (!endpoint) throw new ApiError(404, noSuchEndpoint[404]);
  return endpoint;
}
