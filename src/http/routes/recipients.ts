import { z } from "zod";
import { isPseudonym } from "../../domain/erasure.ts";
import { erasePerson } from "../../erasure/erase-person.ts";
import { findRecipient } from "../../storage/recipients.ts";
import type { ApiContext } from "../api-context.ts";
import { ApiError } from "../errors.ts";
import { addressOrNull, pathText } from "../fields.ts";
import { type AnyRoute, defineRoute } from "../route.ts";

const tag = "Recipients";
const params = z.object({ email: pathText });

/** `/v1/recipients/:email`: what is known of a person, and erasing it. */
export function recipientRoutes(api: ApiContext): AnyRoute[] {
  return [profile(api), erase(api)];
}

function profile({ db }: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/recipients/:email",
    scope: "events:read",
    tag,
    summary: "A person's profile",
    params,
    query: z.object({}),
    answer: z.object({
      success: z.literal(true),
      data: z.object({
        id: z.string(),
        email: z.string(),
        attributes: z.record(z.string(), z.unknown()),
        suppressed: z.boolean(),
        created_at: z.string(),
        updated_at: z.string(),
      }),
    }),
    async handle({ caller, params }) {
      const address = addressOf(params.email);
      const found = address && (await findRecipient(db, caller.projectId, { address }));
      if (!found) throw unknownRecipient();
      const data = {
        id: found.id,
        email: found.address,
        attributes: found.attributes,
        suppressed: found.is_suppressed,
        created_at: found.created_at.toISOString(),
        updated_at: found.updated_at.toISOString(),
      };
      return { success: true as const, data };
    },
  });
}

function erase(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "delete",
    path: "/v1/recipients/:email",
    scope: "*",
    tag,
    summary: "Erase a person",
    description:
      "Takes the address and what is personal out of emails, events, profile and webhooks; counts stay, and a pseudonym. Webhooks that wait are cancelled. The journal and webhooks that have gone out follow in the background.",
    params,
    query: z.object({
      keep_suppression: z
        .enum(["true", "false"], "must be true or false")
        .default("false")
        .meta({ description: "Leaves the address on the suppression list, if it is there" }),
    }),
    answer: z.object({
      success: z.literal(true),
      data: z.object({
        recipient_id: z.string().nullable(),
        erased: z.object({
          activities: z.number(),
          events: z.number().meta({ description: "Of emails" }),
          custom_events: z.number(),
          webhooks: z.number().meta({ description: "Cancelled, because they were not delivered yet" }),
          suppression: z.boolean(),
        }),
        journal: z.literal("pending"),
      }),
    }),
    async handle({ caller, params, query }) {
      const address = addressOf(params.email);
      const keepSuppression = query.keep_suppression === "true";
      const erased = address && (await erasePerson(api, caller.projectId, { address, keepSuppression }));
      if (!erased) throw unknownRecipient();
      const counts = {
        activities: erased.activities,
        events: erased.events,
        custom_events: erased.customEvents,
        webhooks: erased.cancelledWebhooks,
        suppression: erased.isSuppressionRemoved,
      };
      const data = { recipient_id: erased.recipientId, erased: counts, journal: "pending" as const };
      return { success: true as const, data };
    },
  });
}

/** Who was erased is as unknown as any other. */
function addressOf(text: string): string | null {
  const address = addressOrNull(text);
  return address !== null && !isPseudonym(address) ? address : null;
}

function unknownRecipient(): ApiError {
  return new ApiError(404, "There is no recipient with this address");
}
