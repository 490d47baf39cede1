import { z } from "zod";
import { timeOfId } from "../../domain/computed-id.ts";
import { heldDeliveries } from "../../storage/webhooks/delivery-queries.ts";
import { giveNewSecret } from "../../webhooks/add-endpoint.ts";
import { testEndpoint } from "../../webhooks/post-by-hand.ts";
import { disableEndpoint, enableEndpoint } from "../../webhooks/switch-endpoint.ts";
import type { ApiContext } from "../api-context.ts";
import { ApiError } from "../errors.ts";
import { defaulted, pathText } from "../fields.ts";
import { type AnyRoute, defineRoute } from "../route.ts";
import { presentWhole, WholeDelivery, wholeDeliveryOf } from "./delivery-view.ts";
import { endpointOf, noSuchEndpoint, present, Webhook } from "./webhook-view.ts";

const tag = "Webhooks";
const byId = z.object({ id: pathText });
const One = z.object({ success: z.literal(true), data: Webhook });

/** `/v1/webhooks/:id/…`: what is done with an endpoint. */
export function webhookActionRoutes(api: ApiContext): AnyRoute[] {
  return [test(api), rotateSecret(api), enable(api), disable(api)];
}

function test(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/webhooks/:id/test",
    scope: "webhooks:write",
    tag,
    summary: "Post a test",
    description:
      "Posts `webhook.test` once, at once, also to an endpoint that is disabled, and answers what came of it, within 15 seconds.",
    errors: noSuchEndpoint,
    params: byId,
    query: z.object({}),
    answer: z.object({ success: z.literal(true), data: WholeDelivery }),
    async handle({ caller: { projectId }, params }) {
      const { id } = await endpointOf(api, projectId, params.id);
      const deliveryId = await testEndpoint(api, { project_id: projectId, id });
      if (deliveryId === null) throw new ApiError(404, noSuchEndpoint[404]);
      return {
        success: true as const,
        data: await presentWhole(api, await wholeDeliveryOf(api, projectId, deliveryId)),
      };
    },
  });
}

const overlapLimits = "must be a number of hours from 0 to 168";

function rotateSecret(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/webhooks/:id/rotate-secret",
    scope: "webhooks:write",
    tag,
    summary: "Give an endpoint another secret",
    description:
      "Webhooks are signed with the new and the old secret until the overlap is over, so that a receiver may know either.",
    errors: noSuchEndpoint,
    params: byId,
    query: z.object({}),
    body: z.object({
      overlap_hours: defaulted(z.number().min(0, overlapLimits).max(168, overlapLimits), 24).meta({
        description: "How long the old secret signs too",
      }),
    }),
    answer: z.object({ success: z.literal(true), data: Webhook.extend({ secret: z.string() }) }),
    async handle({ caller: { projectId }, params, body }) {
      const endpoint = await endpointOf(api, projectId, params.id);
      const secret = await giveNewSecret(api, endpoint, body.overlap_hours);
      return { success: true as const, data: { ...present(endpoint), secret } };
    },
  });
}

function enable(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/webhooks/:id/enable",
    scope: "webhooks:write",
    tag,
    summary: "Post to an endpoint again",
    description:
      "Its failures are forgotten. What was held for it while it was disabled is told, and posted when you ask for a replay of scope `undelivered`.",
    errors: noSuchEndpoint,
    params: byId,
    query: z.object({}),
    answer: One.extend({
      held: z.number().meta({ description: "Deliveries that wait for a replay" }),
      held_since: z
        .string()
        .nullable()
        .meta({ description: "The time of the oldest event among them: `since` of a replay" }),
    }),
    async handle({ caller: { projectId }, params }) {
      const { id } = await endpointOf(api, projectId, params.id);
      const key = { project_id: projectId, id };
      const enabled = await enableEndpoint(api.db, key);
      if (enabled === null) throw new ApiError(404, noSuchEndpoint[404]);
      const { count, oldest_id } = await heldDeliveries(api.db, key);
      const heldSince = oldest_id === null ? null : new Date(timeOfId(oldest_id)).toISOString();
      return { success: true as const, data: present(enabled), held: count, held_since: heldSince };
    },
  });
}

function disable(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/webhooks/:id/disable",
    scope: "webhooks:write",
    tag,
    summary: "Post to an endpoint no more",
    description: "What it is owed and what comes is held until it is enabled and replayed.",
    errors: noSuchEndpoint,
    params: byId,
    query: z.object({}),
    answer: One,
    async handle({ caller: { projectId }, params }) {
      const { id } = await endpointOf(api, projectId, params.id);
      await disableEndpoint(api.db, { project_id: projectId, id });
      return { success: true as const, data: present(await endpointOf(api, projectId, id)) };
    },
  });
}
