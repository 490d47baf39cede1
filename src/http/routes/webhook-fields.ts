import { z } from "zod";
import { webhookEventTypes } from "../../domain/mail/event-names.ts";
import { maxNameLength, maxValueLength, readEndpointHeaders } from "../../domain/webhooks/headers.ts";
import { readEndpointUrl } from "../../domain/webhooks/url.ts";
import type { EndpointInput } from "../../webhooks/add-endpoint.ts";
import { optional, storableText } from "../fields.ts";

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
