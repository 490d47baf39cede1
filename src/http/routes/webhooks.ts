import { z } from "zod";
import { freshLane } from "../../domain/webhooks/lane-state.ts";
import { countEndpoints, pageOfEndpoints } from "../../storage/webhooks/endpoints.ts";
import { readLane } from "../../storage/webhooks/lanes.ts";
import { addEndpoint, changeEndpoint, maxEndpoints } from "../../webhooks/add-endpoint.ts";
import { removeEndpoint } from "../../webhooks/switch-endpoint.ts";
import type { ApiContext } from "../api-context.ts";
import { ApiError } from "../errors.ts";
import { optional, pathText } from "../fields.ts";
import { Pagination, pageAnswer, pageOf, pagingQuery, placeOfNewest } from "../paging.ts";
import { type AnyRoute, defineRoute } from "../route.ts";
import {
  endpointOf,
  endpointSettings,
  endpointUrl,
  Health,
  noSuchEndpoint,
  present,
  presentHealth,
  settingsOf,
  Webhook,
} from "./webhook-view.ts";

const tag = "Webhooks";
const maxBodyBytes = 128 * 1024;
const byId = z.object({ id: pathText });
const One = z.object({ success: z.literal(true), data: Webhook });

/** `/v1/webhooks`: the endpoints that are told of events. */
export function webhookRoutes(api: ApiContext): AnyRoute[] {
  return [add(api), list(api), read(api), change(api), remove(api)];
}

/** @throws ApiError 400 where the address may not be posted to. */
async function assertPublic({ addressGuard }: ApiContext, url: string): Promise<void> {
  const problem = await addressGuard.check(url);
  if (problem !== null) throw new ApiError(400, `url ${problem}`);
}

function add(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/webhooks",
    scope: "webhooks:write",
    tag,
    summary: "Add an endpoint",
    description: "The secret that signs is shown here and at its rotation, and never again.",
    errors: { 409: `A project has at most ${maxEndpoints} endpoints` },
    params: z.object({}),
    query: z.object({}),
    maxBodyBytes,
    body: z.object({ url: endpointUrl, ...endpointSettings }),
    status: 201,
    answer: z.object({ success: z.literal(true), data: Webhook.extend({ secret: z.string() }) }),
    async handle({ caller: { projectId }, body: { url, ...given } }) {
      await assertPublic(api, url);
      const { total } = await countEndpoints(api.db, projectId);
      if (total >= maxEndpoints) throw new ApiError(409, `A project has at most ${maxEndpoints} endpoints`);
      const { id, secret } = await addEndpoint(api, projectId, url, settingsOf(given));
      return { success: true as const, data: { ...present(await endpointOf(api, projectId, id)), secret } };
    },
  });
}

function list({ db }: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/webhooks",
    scope: "webhooks:read",
    tag,
    summary: "Endpoints, the newest first",
    params: z.object({}),
    query: z.object(pagingQuery),
    answer: z.object({ success: z.literal(true), data: z.array(Webhook), pagination: Pagination }),
    async handle({ caller: { projectId }, query }) {
      const page = await Promise.all([
        pageOfEndpoints(db, projectId, pageOf(query)),
        countEndpoints(db, projectId),
      ]);
      return pageAnswer(query, page, present, placeOfNewest);
    },
  });
}

function read(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/webhooks/:id",
    scope: "webhooks:read",
    tag,
    summary: "One endpoint, and how it has been doing",
    errors: noSuchEndpoint,
    params: byId,
    query: z.object({}),
    answer: z.object({ success: z.literal(true), data: Webhook.extend({ health: Health }) }),
    async handle({ caller, params }) {
      const endpoint = await endpointOf(api, caller.projectId, params.id);
      const lane = await readLane(api.db, endpoint);
      const health = presentHealth(lane ?? freshLane, lane?.now ?? api.clock.now());
      return { success: true as const, data: { ...present(endpoint), health } };
    },
  });
}

function change(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "patch",
    path: "/v1/webhooks/:id",
    scope: "webhooks:write",
    tag,
    summary: "Change an endpoint",
    description:
      "What is left out stays. `headers` replaces all headers. What the endpoint is still owed goes to the new URL; new types hold for events from now on.",
    errors: noSuchEndpoint,
    params: byId,
    query: z.object({}),
    maxBodyBytes,
    body: z.object({ url: optional(endpointUrl), ...endpointSettings }),
    answer: One,
    async handle({ caller: { projectId }, params, body: { url, ...given } }) {
      const endpoint = await endpointOf(api, projectId, params.id);
      if (url !== undefined) await assertPublic(api, url);
      await changeEndpoint(api, endpoint, { url, ...settingsOf(given) });
      return { success: true as const, data: present(await endpointOf(api, projectId, endpoint.id)) };
    },
  });
}

function remove(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "delete",
    path: "/v1/webhooks/:id",
    scope: "webhooks:write",
    tag,
    summary: "Remove an endpoint",
    errors: noSuchEndpoint,
    params: byId,
    query: z.object({}),
    answer: z.object({
      success: z.literal(true),
      cancelled: z.number().meta({ description: "Deliveries that it was still owed" }),
    }),
    async handle({ caller: { projectId }, params }) {
      const { id } = await endpointOf(api, projectId, params.id);
      const { cancelled } = await removeEndpoint(api.db, { project_id: projectId, id });
      return { success: true as const, cancelled };
    },
  });
}
