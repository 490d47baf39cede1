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
  type Redelivery,
} from "../../storage/webhooks/redeliveries.ts";
import { countToRedeliver } from "../../storage/webhooks/redelivery-steps.ts";
import { dataAnswer, foundById, isoOrNull, withData } from "../answers.ts";
import { ApiError } from "../errors.ts";
import { byId, defaulted, optional, time, untilTime } from "../fields.ts";
import { listAnswer, pageAnswer, pageOf, pagingQuery, placeOfNewest } from "../paging.ts";
import { type AnyRoute, type ApiContext, defineRoute } from "../route.ts";
import { deliveryRate, endpointOf, noSuchEndpoint, subscribedTypes } from "./webhook-view.ts";

const tag = "Webhooks";
const scopes = ["failed", "undelivered", "all"] as const;
const maxRunning = 10;
const noSuchRedelivery = { 404: "There is no such replay" };

const total_estimated = z
  .literal(true)
  .optional()
  .meta({ description: "`total` is an estimate, because there are very many" });

const RedeliveryView = z.object({
  id: z.string(),
  webhook_id: z.string(),
  scope: z.enum(scopes),
  since: z.string(),
  until: z.string(),
  events: z.array(z.string()).nullable(),
  rate_per_second: z.number().nullable(),
  state: z.enum(["running", "finished", "cancelled"]),
  total: z.number().meta({ description: "Deliveries to make, when it started" }),
  total_estimated,
  queued: z.number().meta({ description: "Deliveries queued for the endpoint so far" }),
  created_at: z.string(),
  finished_at: z.string().nullable(),
});

const DryRunView = z.object({ dry_run: z.literal(true), total: z.number(), total_estimated });

/** Redeliveries, which the API calls replays. */
export function redeliveryRoutes(api: ApiContext): AnyRoute[] {
  return [start(api), list(api), read(api), cancel(api)];
}

const NewRedelivery = z.object({
  since: time,
  until: optional(untilTime).meta({ description: "Default: now" }),
  events: optional(subscribedTypes).meta({ description: "Default: those of the endpoint" }),
  scope: z.enum(scopes, `must be one of ${scopes.join(", ")}`).meta({
    description:
      "`failed`: exhausted deliveries. `undelivered`: also held ones, and events from before the endpoint existed. `all`: also what was delivered",
  }),
  rate_per_second: optional(deliveryRate),
  dry_run: defaulted(z.boolean(), false),
});

function start(api: ApiContext): AnyRoute {
  const { db, clock } = api;
  return defineRoute({
    method: "post",
    path: "/v1/webhooks/:id/replays",
    scope: "webhooks:write",
    tag,
    summary: "Start a replay: deliver past events again",
    description:
      "Runs in the background, in steps; a restart does not interrupt it. `since` and `until` are event times. With `dry_run` it only counts. A misspelled field is rejected.",
    errors: {
      ...noSuchEndpoint,
      409: `The endpoint is disabled, or already has ${maxRunning} running replays`,
    },
    params: byId,
    body: NewRedelivery,
    refusesMisspelling: true,
    status: 202,
    answer: dataAnswer(z.union([RedeliveryView, DryRunView])),
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
      if (dry_run) return withData({ dry_run: true as const, ...presentTotal(total) });
      if (endpoint.state !== "enabled") throw new ApiError(409, "The endpoint is disabled; enable it first");
      if ((await countRunningRedeliveries(db, endpoint)) >= maxRunning) {
        throw new ApiError(409, `${maxRunning} replays of this endpoint run already`);
      }
      const row = await insertRedelivery(db, { ...request, project_id: projectId, id: clock.newId() }, total);
      return withData(present(row));
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
    answer: listAnswer(RedeliveryView),
    async handle({ caller: { projectId }, params, query }) {
      const endpoint = await endpointOf(api, projectId, params.id);
      const rows = listRedeliveries(api.db, endpoint, pageOf(query));
      const total = countRedeliveries(api.db, endpoint);
      return pageAnswer(query, { rows, total }, present, placeOfNewest);
    },
  });
}

function read({ db }: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/replays/:id",
    scope: "webhooks:read",
    tag,
    summary: "A replay and its progress",
    errors: noSuchRedelivery,
    params: byId,
    answer: dataAnswer(RedeliveryView),
    async handle({ caller, params }) {
      return withData(present(await redeliveryOf(db, caller.projectId, params.id)));
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
      "Deliveries that are already queued, about 1,500 at most, are still posted; no more are added.",
    errors: { ...noSuchRedelivery, 409: "The replay has ended" },
    params: byId,
    answer: dataAnswer(RedeliveryView),
    async handle({ caller: { projectId }, params }) {
      const id = uuidOrNull(params.id);
      const isCancelled = id !== null && (await cancelRedelivery(db, projectId, id));
      const redelivery = await redeliveryOf(db, projectId, params.id);
      if (!isCancelled) throw new ApiError(409, `The replay is ${redelivery.state} already`);
      return withData(present(redelivery));
    },
  });
}

/** @throws ApiError 404 */
function redeliveryOf(db: ApiContext["db"], projectId: string, id: string): Promise<Redelivery> {
  return foundById(id, (uuid) => findRedelivery(db, projectId, uuid), noSuchRedelivery[404]);
}

function presentTotal({ total, isEstimate }: Total) {
  return { total, ...(isEstimate && { total_estimated: true as const }) };
}

function present(row: Redelivery): z.input<typeof RedeliveryView> {
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
    finished_at: isoOrNull(row.finished_at),
  };
}
