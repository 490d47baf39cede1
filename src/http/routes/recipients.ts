import { z } from "zod";
import { isPseudonym } from "../../domain/erasure.ts";
import { erasePerson } from "../../erasure/erase-person.ts";
import { findRecipient } from "../../storage/recipients.ts";
import { dataAnswer, withData } from "../answers.ts";
import { ApiError } from "../errors.ts";
import { addressOrNull, pathText } from "../fields.ts";
import { type AnyRoute, type ApiContext, defineRoute } from "../route.ts";

const tag = "Recipients";
const params = z.object({ email: pathText });

/** `/v1/recipients/:email`: a person's profile, and erasing the person. */
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
    answer: dataAnswer(
      z.object({
        id: z.string(),
        email: z.string(),
        attributes: z.record(z.string(), z.unknown()),
        suppressed: z.boolean(),
        created_at: z.string(),
        updated_at: z.string(),
      }),
    ),
    async handle({ caller, params }) {
      const address = addressOf(params.email);
      const found = address && (await findRecipient(db, caller.projectId, { address }));
      if (!found) throw unknownRecipient();
      return withData({
        id: found.id,
        email: found.address,
        attributes: found.attributes,
        suppressed: found.is_suppressed,
        created_at: found.created_at.toISOString(),
        updated_at: found.updated_at.toISOString(),
      });
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
      "Removes the address and everything personal from emails, events, profile and webhooks; counts stay, under a pseudonym. Waiting webhooks are cancelled. The journal and webhooks that were already sent follow in the background.",
    params,
    query: z.object({
      keep_suppression: z
        .enum(["true", "false"], "must be true or false")
        .default("false")
        .meta({ description: "`true`: a suppressed address stays on the suppression list" }),
    }),
    answer: dataAnswer(
      z.object({
        recipient_id: z.string().nullable(),
        erased: z.object({
          activities: z.number(),
          events: z.number().meta({ description: "Events of emails" }),
          custom_events: z.number(),
          webhooks: z.number().meta({ description: "Webhooks that were cancelled before delivery" }),
          suppression: z.boolean(),
        }),
        journal: z.literal("pending"),
      }),
    ),
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
      return withData({ recipient_id: erased.recipientId, erased: counts, journal: "pending" as const });
    },
  });
}

/** @returns null for what is no address, and for the pseudonym of an erased person: both are unknown. */
function addressOf(text: string): string | null {
  const address = addressOrNull(text);
  return address !== null && !isPseudonym(address) ? address : null;
}

function unknownRecipient(): ApiError {
  return new ApiError(404, "There is no recipient with this address");
}
