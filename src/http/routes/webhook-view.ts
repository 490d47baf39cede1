import { z } from "zod";
import { uuidOrNull } from "../../domain/computed-id.ts";
import { webhookEventTypes } from "../../domain/mail/event-names.ts";
import {
  hiddenValue,
  maxNameLength,
  maxValueLength,
  readEndpointHeaders,
} from "../../domain/webhooks/headers.ts";
import { breakerOf, type LaneState } from "../../domain/webhooks/lane-state.ts";
import { readEndpointUrl } from "../../domain/webhooks/url.ts";
import { type Endpoint, findEndpoint } from "../../storage/webhooks/endpoints.ts";
import type { EndpointInput } from "../../webhooks/add-endpoint.ts";
import type { ApiContext } from "../api-context.ts";
import { ApiError } from "../errors.ts";
import { optional, storableText } from "../fields.ts";

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

/*
 * What callers say of a webhook endpoint.
 */

export const endpointUrl = z
  .string()
  .max(2_048, "is longer than 2048 characters")
  .transform((text, issues) => {
    const read = readEndpointUrl(text);
    if ("url" in read) return read.url;
    issues.addIssue({ code: "custom", message: read.problem });
    return z.NEVER;
  })
  .meta({
    description: "https; addresses in private networks are refused unless WEBHOOK_ALLOWED_CIDRS has them",
  });

const knownTypes = ["*", ...webhookEventTypes] as const;
export const eventTypes = z
  .array(z.enum(knownTypes, `must be one of ${knownTypes.join(", ")}`))
  .min(1, "must name at least one type of event, or *")
  .max(knownTypes.length * 2, "holds more than there are")
  .transform((types) => [...new Set<string>(types)]);

const headers = z
  .record(
    z.string().max(maxNameLength),
    z.string().max(maxValueLength, `is longer than ${maxValueLength} characters`),
  )
  .transform((given, issues) => {
    const read = readEndpointHeaders(given);
    if ("headers" in read) return read.headers;
    issues.addIssue({ code: "custom", message: read.problem });
    return z.NEVER;
  })
  .meta({ description: "Sent with every webhook; their values are stored encrypted and never shown" });

const rateLimits = "must be a number from 0.001 to 10000";
export const ratePerSecond = z.number().min(0.001, rateLimits).max(10_000, rateLimits);

/** All but the URL. */
export const endpointSettings = {
  events: optional(eventTypes).meta({ description: "`*`, every type, unless given" }),
  description: storableText(500).nullable().optional(),
  headers: optional(headers),
  max_in_flight: optional(
    z
      .int("must be a whole number from 1 to 1000")
      .min(1, "must be a whole number from 1 to 1000")
      .max(1_000, "must be a whole number from 1 to 1000"),
  ).meta({ description: "How many may be on their way at once; 10 unless given" }),
  rate_per_second: ratePerSecond
    .nullable()
    .optional()
    .meta({ description: "At most so many a second; null: as fast as it answers" }),
  ordered: optional(z.boolean()).meta({
    description: "One at a time and in event order; a failure holds those behind it",
  }),
  legacy_signature: optional(z.boolean()).meta({
    description: "Also sign as Really Quick Emails does, in X-RQE-Signature",
  }),
};

const Settings = z.object(endpointSettings);

/** By the names under which they are stored. */
export function settingsOf({ events, ...others }: z.output<typeof Settings>): EndpointInput {
  return { ...others, event_types: events };
}
