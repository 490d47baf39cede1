import { z } from "zod";
import { uuidOrNull } from "../../domain/computed-id.ts";
import type { Total } from "../../storage/totals.ts";
import {
  cancelRedelivery,
  countRedeliveries,
  countRunningRedeliveries,
  findRedelivery,
  insertRedelivery,
  listRedeliveries,
  type Redelivery as StoredRedelivery,
} from "../../storage/webhooks/redeliveries.ts";
import { countToRedeliver } from "../../storage/webhooks/redelivery-steps.ts";
import type { ApiContext } from "../api-context.ts";
import { ApiError } from "../errors.ts";
import { defaulted, optional, pathText, time, untilTime } from "../fields.ts";
import { Pagination, pageAnswer, pageOf, pagingQuery, placeOfNewest } from "../paging.ts";
import { type AnyRoute, defineRoute } from "../route.ts";
import { endpointOf, eventTypes, noSuchEndpoint, ratePerSecond } from "./webhook-view.ts";

const tag = "Webhooks";
const byId = z.object({ id: pathText });
const scopes = ["failed", "undelivered", "all"] as const;
const maxRunning = 10;
const noSuchRedelivery = { 404: "There is no such replay" };

const total_estimated = z
  .literal(true)
  .optional()
  .meta({ description: "There are very many, and `total` is an estimate" });

const Redelivery = z.object({
  id: z.string(),
  webhook_id: z.string(),
  scope: z.enum(scopes),
  since: z.string(),
  until: z.string(),
  events: z.array(z.string()).nullable(),
  rate_per_second: z.number().nullable(),
  state: z.enum(["running", "finished", "cancelled"]),
  total: z.number().meta({ description: "How many deliveries there were to make when it began" }),
  total_estimated,
  queued: z.number().meta({ description: "How many have been put into the endpoint's lane so far" }),
  created_at: z.string(),
  finished_at: z.string().nullable(),
});

/** Redeliveries; the API calls them replays. */
export function redeliveryRoutes(api: ApiContext): AnyRoute[] {
  return [start(api), list(api), read(api), cancel(api)];
}

const NewRedelivery = z.object({
  since: time,
  until: optional(untilTime).meta({ description: "Now unless given" }),
  events: optional(eventTypes).meta({ description: "Those of the endpoint, unless given" }),
  scope: z.enum(scopes, `must be one of ${scopes.join(", ")}`).meta({
    description:
      "`failed`: exhausted. `undelivered`: also held, and events from before the endpoint existed. `all`: also what was delivered",
  }),
  rate_per_second: optional(ratePerSecond),
  dry_run: defaulted(z.boolean(), false),
});

function start(api: ApiContext): AnyRoute {
  const { db, clock } = api;
  return defineRoute({
    method: "post",
    path: "/v1/webhooks/:id/replays",
    scope: "webhooks:write",
    tag,
    summary: "Make deliveries again",
    description:
      "In steps, in the background; a restart does not interrupt it. `since` and `until` are times of events. With `dry_run` nothing is made: the answer is the count. A field whose name is a misspelled one is refused.",
    errors: {
      ...noSuchEndpoint,
      409: `The endpoint is disabled, or ${maxRunning} replays of it run already`,
    },
    params: byId,
    query: z.object({}),
    body: NewRedelivery,
    refusesMisspelling: true,
    status: 202,
    answer: z.object({
      success: z.literal(true),
      data: z.union([Redelivery, z.object({ dry_run: z.literal(true), total: z.number(), total_estimated })]),
    }),
    async handle({ caller: { projectId }, params, body }) {
      const endpoint = await endpointOf(api, projectId, params.id);
      const { since, until = clock.now(), dry_run } = body;
      if (until < since) throw new ApiError(400, "until must not be before since");
      const request = {
        endpoint_id: endpoint.id,
        scope: body.scope,
        since,
        until,
        event_types: body.events === undefined || body.events.includes("*") ? null : body.events,
        rate_per_second: body.rate_per_second ?? null,
      };
      const total = await countToRedeliver(db, { endpoint, request });
      if (dry_run)
        return { success: true as const, data: { dry_run: true as const, ...presentTotal(total) } };
      if (endpoint.state !== "enabled") throw new ApiError(409, "The endpoint is disabled; enable it first");
      if ((await countRunningRedeliveries(db, endpoint)) >= maxRunning) {
        throw new ApiError(409, `${maxRunning} replays of this endpoint run already`);
      }
      const row = await insertRedelivery(db, { ...request, project_id: projectId, id: clock.newId() }, total);
      return { success: true as const, data: present(row) };
    },
  });
}

function list(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/webhooks/:id/replays",
    scope: "webhooks:read",
    tag,
    summary: "Replays of an endpoint, the newest first",
    errors: noSuchEndpoint,
    params: byId,
    query: z.object(pagingQuery),
    answer: z.object({ success: z.literal(true), data: z.array(Redelivery), pagination: Pagination }),
    async handle({ caller: { projectId }, params, query }) {
      const endpoint = await endpointOf(api, projectId, params.id);
      const page = await Promise.all([
        listRedeliveries(api.db, endpoint, pageOf(query)),
        countRedeliveries(api.db, endpoint),
      ]);
      return pageAnswer(query, page, present, placeOfNewest);
    },
  });
}

function read({ db }: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/replays/:id",
    scope: "webhooks:read",
    tag,
    summary: "How far a replay has come",
    errors: noSuchRedelivery,
    params: byId,
    query: z.object({}),
    answer: z.object({ success: z.literal(true), data: Redelivery }),
    async handle({ caller, params }) {
      return { success: true as const, data: present(await redeliveryOf(db, caller.projectId, params.id)) };
    },
  });
}

function cancel({ db }: ApiContext): AnyRoute {
  return defineRoute({
    method: "delete",
    path: "/v1/replays/:id",
    scope: "webhooks:write",
    tag,
    summary: "Cancel a replay",
    description:
      "What is in the lane already is posted, at most about 1,500 deliveries; nothing more is added.",
    errors: { ...noSuchRedelivery, 409: "The replay has ended" },
    params: byId,
    query: z.object({}),
    answer: z.object({ success: z.literal(true), data: Redelivery }),
    async handle({ caller: { projectId }, params }) {
      const id = uuidOrNull(params.id);
      const isCancelled = id !== null && (await cancelRedelivery(db, projectId, id));
      const redelivery = await redeliveryOf(db, projectId, params.id);
      if (!isCancelled) throw new ApiError(409, `The replay is ${redelivery.state} already`);
      return { success: true as const, data: present(redelivery) };
    },
  });
}

/** @throws ApiError 404 */
async function redeliveryOf(
  db: ApiContext["db"],
  projectId: string,
  givenId: string,
): Promise<StoredRedelivery> {
  const id = uuidOrNull(givenId);
  const redelivery = id && (await findRedelivery(db, projectId, id));
  if (!redelivery) throw new ApiError(404, noSuchRedelivery[404]);
  return redelivery;
}

function presentTotal({ total, isEstimate }: Total) {
  return { total, ...(isEstimate && { total_estimated: true as const }) };
}

function present(row: StoredRedelivery): z.input<typeof Redelivery> {
  return {
    id: row.id,
    webhook_id: row.endpoint_id,
    scope: row.scope,
    since: row.since.toISOString(),
    until: row.until.toISOString(),
    events: row.event_types,
    rate_per_second: row.rate_per_second,
    state: row.state,
    ...presentTotal({ total: row.total, isEstimate: row.total_is_estimate }),
    queued: row.queued,
    created_at: row.created_at.toISOString(),
    finished_at: row.finished_at?.toISOString() ?? null,
  };
}
