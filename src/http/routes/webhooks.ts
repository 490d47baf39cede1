import { z } from "zod";
import { timeOfId } from "../../domain/computed-id.ts";
import { freshLane } from "../../domain/webhooks/lane-state.ts";
import { heldDeliveries } from "../../storage/webhooks/deliveries.ts";
import { countEndpoints, pageOfEndpoints } from "../../storage/webhooks/endpoints.ts";
import { readLane } from "../../storage/webhooks/lanes.ts";
import {
  addEndpoint,
  changeEndpoint,
  disableEndpoint,
  enableEndpoint,
  maxEndpoints,
  removeEndpoint,
  renewSecret,
} from "../../webhooks/endpoints.ts";
import { testEndpoint } from "../../webhooks/post-by-hand.ts";
import { dataAnswer, withData } from "../answers.ts";
import { ApiError } from "../errors.ts";
import { byId, defaulted, optional } from "../fields.ts";
import { listAnswer, pageAnswer, pageOf, pagingQuery, placeOfNewest } from "../paging.ts";
import { type AnyRoute, type ApiContext, defineRoute } from "../route.ts";
import { viewDelivery, WholeDeliveryView } from "./deliveries.ts";
import {
  EndpointView,
  endpointOf,
  endpointSettings,
  endpointUrl,
  HealthView,
  noSuchEndpoint,
  presentEndpoint,
  presentHealth,
  settingsOf,
} from "./webhook-view.ts";

const tag = "Webhooks";
const maxBodyBytes = 128 * 1024;

/** `/v1/webhooks`: the endpoints that events are posted to. */
export function webhookRoutes(api: ApiContext): AnyRoute[] {
  return [add, list, read, change, remove, test, rotate, enable, disable].map((route) => route(api));
}

/** @throws ApiError 400 if the address may not be posted to. */
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
    description: "The signing secret is shown here and when it is rotated, and never again.",
    errors: { 409: `A project has at most ${maxEndpoints} endpoints` },
    maxBodyBytes,
    body: z.object({ url: endpointUrl, ...endpointSettings }),
    status: 201,
    answer: dataAnswer(EndpointView.extend({ secret: z.string() })),
    async handle({ caller: { projectId }, body: { url, ...given } }) {
      await assertPublic(api, url);
      const { total } = await countEndpoints(api.db, projectId);
      if (total >= maxEndpoints) throw new ApiError(409, `A project has at most ${maxEndpoints} endpoints`);
      const { id, secret } = await addEndpoint(api, projectId, url, settingsOf(given));
      return withData({ ...presentEndpoint(await endpointOf(api, projectId, id)), secret });
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
    query: z.object(pagingQuery),
    answer: listAnswer(EndpointView),
    handle({ caller: { projectId }, query }) {
      const rows = pageOfEndpoints(db, projectId, pageOf(query));
      const total = countEndpoints(db, projectId);
      return pageAnswer(query, { rows, total }, presentEndpoint, placeOfNewest);
    },
  });
}

function read(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/webhooks/:id",
    scope: "webhooks:read",
    tag,
    summary: "An endpoint and its health",
    errors: noSuchEndpoint,
    params: byId,
    answer: dataAnswer(EndpointView.extend({ health: HealthView })),
    async handle({ caller, params }) {
      const endpoint = await endpointOf(api, caller.projectId, params.id);
      const lane = await readLane(api.db, endpoint);
      const health = presentHealth(lane ?? freshLane, lane?.now ?? api.clock.now());
      return withData({ ...presentEndpoint(endpoint), health });
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
      "Omitted fields stay as they are. `headers` replaces all headers. Deliveries that are still due go to the new URL; new event types apply to events from now on.",
    errors: noSuchEndpoint,
    params: byId,
    maxBodyBytes,
    body: z.object({ url: optional(endpointUrl), ...endpointSettings }),
    answer: dataAnswer(EndpointView),
    async handle({ caller: { projectId }, params, body: { url, ...given } }) {
      const endpoint = await endpointOf(api, projectId, params.id);
      if (url !== undefined) await assertPublic(api, url);
      await changeEndpoint(api, endpoint, { url, ...settingsOf(given) });
      return withData(presentEndpoint(await endpointOf(api, projectId, endpoint.id)));
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
    answer: z.object({
      success: z.literal(true),
      cancelled: z.number().meta({ description: "Deliveries that were still waiting" }),
    }),
    async handle({ caller, params }) {
      const endpoint = await endpointOf(api, caller.projectId, params.id);
      const { cancelled } = await removeEndpoint(api.db, endpoint);
      return { success: true as const, cancelled };
    },
  });
}

function test(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/webhooks/:id/test",
    scope: "webhooks:write",
    tag,
    summary: "Post a test",
    description:
      "Posts `webhook.test` once, at once, also to a disabled endpoint, and responds with the result, within 15 seconds.",
    errors: noSuchEndpoint,
    params: byId,
    answer: dataAnswer(WholeDeliveryView),
    async handle({ caller: { projectId }, params }) {
      const { id } = await endpointOf(api, projectId, params.id);
      const deliveryId = await testEndpoint(api, { project_id: projectId, id });
      if (deliveryId === null) throw new ApiError(404, noSuchEndpoint[404]);
      return withData(await viewDelivery(api, projectId, deliveryId));
    },
  });
}

const overlapLimits = "must be a number of hours from 0 to 168";

function rotate(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/webhooks/:id/rotate-secret",
    scope: "webhooks:write",
    tag,
    summary: "Replace an endpoint's secret",
    description:
      "Until the overlap ends, webhooks are signed with both secrets, so the receiver may verify either.",
    errors: noSuchEndpoint,
    params: byId,
    body: z.object({
      overlap_hours: defaulted(z.number().min(0, overlapLimits).max(168, overlapLimits), 24).meta({
        description: "How long the old secret continues to sign",
      }),
    }),
    answer: dataAnswer(EndpointView.extend({ secret: z.string() })),
    async handle({ caller, params, body }) {
      const endpoint = await endpointOf(api, caller.projectId, params.id);
      const secret = await renewSecret(api, endpoint, body.overlap_hours);
      return withData({ ...presentEndpoint(endpoint), secret });
    },
  });
}

function enable(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/webhooks/:id/enable",
    scope: "webhooks:write",
    tag,
    summary: "Enable an endpoint",
    description:
      "Resets its failures. Deliveries that were held while it was disabled are counted, and posted by a replay with scope `undelivered`.",
    errors: noSuchEndpoint,
    params: byId,
    answer: dataAnswer(EndpointView).extend({
      held: z.number().meta({ description: "Held deliveries, which a replay posts" }),
      held_since: z
        .string()
        .nullable()
        .meta({ description: "The time of the oldest held event: `since` of a replay" }),
    }),
    async handle({ caller, params }) {
      const endpoint = await endpointOf(api, caller.projectId, params.id);
      const enabled = await enableEndpoint(api.db, endpoint);
      if (enabled === null) throw new ApiError(404, noSuchEndpoint[404]);
      const { count, oldest_id } = await heldDeliveries(api.db, endpoint);
      const heldSince = oldest_id === null ? null : new Date(timeOfId(oldest_id)).toISOString();
      return { ...withData(presentEndpoint(enabled)), held: count, held_since: heldSince };
    },
  });
}

function disable(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/webhooks/:id/disable",
    scope: "webhooks:write",
    tag,
    summary: "Disable an endpoint",
    description: "Its deliveries, waiting and new, are held until it is enabled and they are replayed.",
    errors: noSuchEndpoint,
    params: byId,
    answer: dataAnswer(EndpointView),
    async handle({ caller: { projectId }, params }) {
      const endpoint = await endpointOf(api, projectId, params.id);
      await disableEndpoint(api.db, endpoint);
      return withData(presentEndpoint(await endpointOf(api, projectId, endpoint.id)));
    },
  });
}
