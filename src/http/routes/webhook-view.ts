import { z } from "zod";
import { webhookEventTypes } from "../../domain/mail/event-names.ts";
import { maxUrlLength, readEndpointUrl } from "../../domain/webhooks/endpoint-url.ts";
import {
  hiddenValue,
  maxHeaderNameLength,
  maxHeaderValueLength,
  readEndpointHeaders,
} from "../../domain/webhooks/headers.ts";
import { breakerOf, type LaneState } from "../../domain/webhooks/lane-state.ts";
import { type Endpoint, findEndpoint } from "../../storage/webhooks/endpoints.ts";
import type { EndpointInput } from "../../webhooks/endpoints.ts";
import { foundById, isoOrNull } from "../answers.ts";
import { optional, storableText } from "../fields.ts";
import type { ApiContext } from "../route.ts";

export const EndpointView = z.object({
  id: z.string(),
  url: z.string(),
  events: z.array(z.string()),
  description: z.string().nullable(),
  headers: z
    .record(z.string(), z.literal(hiddenValue))
    .meta({ description: "Header names; the values are never shown" }),
  max_in_flight: z.number(),
  rate_per_second: z.number().nullable(),
  ordered: z.boolean(),
  legacy_signature: z.boolean(),
  state: z.enum(["enabled", "disabled"]),
  disabled_reason: z
    .enum(["manual", "gone", "failing"])
    .nullable()
    .meta({ description: "`gone`: it answered 410; `failing`: every attempt failed for five days" }),
  disabled_at: z.string().nullable(),
  created_at: z.string(),
  updated_at: z.string(),
});

export const HealthView = z.object({
  breaker: z.enum(["closed", "open", "half_open"]).meta({
    description:
      "`open`: too many attempts failed, nothing is posted; `half_open`: one delivery is posted to find out",
  }),
  paused_until: z.string().nullable().meta({ description: "Nothing is posted before this time" }),
  failing_since: z.string().nullable().meta({ description: "The first failure since the last success" }),
  last_success_at: z.string().nullable(),
});

export function presentHealth(lane: LaneState, now: Date): z.input<typeof HealthView> {
  const isPaused = lane.paused_until !== null && lane.paused_until > now;
  return {
    breaker: breakerOf(lane, now),
    paused_until: isPaused ? isoOrNull(lane.paused_until) : null,
    failing_since: isoOrNull(lane.failing_since),
    last_success_at: isoOrNull(lane.last_success_at),
  };
}

export function presentEndpoint(endpoint: Endpoint): z.input<typeof EndpointView> {
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
    disabled_at: isoOrNull(endpoint.disabled_at),
    created_at: endpoint.created_at.toISOString(),
    updated_at: endpoint.updated_at.toISOString(),
  };
}

export const noSuchEndpoint = { 404: "There is no such webhook endpoint" };

/** @throws ApiError 404 if the project has no such endpoint. */
export function endpointOf({ db }: Pick<ApiContext, "db">, projectId: string, id: string): Promise<Endpoint> {
  return foundById(id, (uuid) => findEndpoint(db, projectId, uuid), noSuchEndpoint[404]);
}

/*
 * What requests say about an endpoint.
 */

export const endpointUrl = z
  .string()
  .transform((text, issues) => {
    const read = readEndpointUrl(text);
    if ("url" in read) return read.url;
    issues.addIssue({ code: "custom", message: read.problem });
    return z.NEVER;
  })
  .meta({
    maxLength: maxUrlLength,
    description:
      "https; addresses in private networks are rejected unless WEBHOOK_ALLOWED_CIDRS contains them",
  });

const knownTypes = ["*", ...webhookEventTypes] as const;
export const subscribedTypes = z
  .array(z.enum(knownTypes, `must be one of ${knownTypes.join(", ")}`))
  .min(1, "must name at least one type of event, or *")
  .max(knownTypes.length * 2, "holds more than there are")
  .transform((types) => [...new Set<string>(types)]);

const headers = z
  .record(
    z.string().max(maxHeaderNameLength),
    z.string().max(maxHeaderValueLength, `is longer than ${maxHeaderValueLength} characters`),
  )
  .transform((given, issues) => {
    const read = readEndpointHeaders(given);
    if ("headers" in read) return read.headers;
    issues.addIssue({ code: "custom", message: read.problem });
    return z.NEVER;
  })
  .meta({ description: "Sent with every webhook. Values are stored encrypted and never shown" });

const rateLimits = "must be a number from 0.001 to 10000";
export const deliveryRate = z.number().min(0.001, rateLimits).max(10_000, rateLimits);

/** All settings but the URL. */
export const endpointSettings = {
  events: optional(subscribedTypes).meta({ description: "Default: `*`, every type" }),
  description: storableText(500).nullable().optional(),
  headers: optional(headers),
  max_in_flight: optional(
    z
      .int("must be a whole number from 1 to 1000")
      .min(1, "must be a whole number from 1 to 1000")
      .max(1_000, "must be a whole number from 1 to 1000"),
  ).meta({ description: "Most webhooks being posted at once; default 10" }),
  rate_per_second: deliveryRate
    .nullable()
    .optional()
    .meta({ description: "Most webhooks per second; null: as fast as it answers" }),
  ordered: optional(z.boolean()).meta({
    description: "One at a time and in event order; a failed webhook holds those behind it",
  }),
  legacy_signature: optional(z.boolean()).meta({
    description: "Also sign like Really Quick Emails, in X-RQE-Signature",
  }),
};

const Settings = z.object(endpointSettings);

/** The settings under their names in storage. */
export function settingsOf({ events, ...others }: z.output<typeof Settings>): EndpointInput {
  return { ...others, event_types: events };
}
