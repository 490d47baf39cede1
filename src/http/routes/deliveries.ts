import { z } from "zod";
import { timeOfId } from "../../domain/computed-id.ts";
import type { Cursor } from "../../domain/cursor.ts";
import { erasedWebhookEnd } from "../../domain/erasure.ts";
import { parseExactJson } from "../../domain/exact-json.ts";
import { microsecondText } from "../../domain/time-text.ts";
import { failureClasses } from "../../domain/webhooks/outcome.ts";
import { rememberEstimates } from "../../storage/totals.ts";
import {
  attemptsOf,
  countDeliveries,
  type DeliveryFilter,
  deliveryStates,
  findDelivery,
  type ListedDelivery,
  listDeliveries,
  type ReadAttempt,
  type ReadDelivery,
  type WholeDelivery,
} from "../../storage/webhooks/deliveries.ts";
import { resendDelivery } from "../../webhooks/post-by-hand.ts";
import { dataAnswer, foundById, isoOrNull, withData } from "../answers.ts";
import { ApiError } from "../errors.ts";
import { byId, period } from "../fields.ts";
import { listAnswer, pageAnswer, pageOf, pagingQuery } from "../paging.ts";
import { type AnyRoute, type ApiContext, defineRoute } from "../route.ts";
import { endpointOf, noSuchEndpoint } from "./webhook-view.ts";

const tag = "Webhooks";

/** A delivery in a list. */
const DeliveryView = z.object({
  id: z.string(),
  webhook_id: z.string().meta({ description: "The endpoint" }),
  event_id: z.string().meta({ description: "The `webhook-id` header" }),
  event: z.string(),
  event_timestamp: z.string(),
  state: z.enum(deliveryStates),
  attempts: z.number(),
  next_attempt_at: z.string().nullable(),
  created_at: z.string(),
  finished_at: z.string().nullable(),
  last_attempt_at: z.string().nullable(),
  last_status: z
    .number()
    .nullable()
    .meta({ description: "The status that the last attempt was answered with" }),
  last_failure: z.string().nullable().meta({ description: "Of the last attempt, as in `attempt_list`" }),
});

const maxAttempts = 100;

const AttemptView = z.object({
  id: z.string(),
  number: z.number(),
  manual: z.boolean().meta({ description: "Posted by a resend, outside the schedule" }),
  started_at: z.string(),
  duration_ms: z.number(),
  status: z.number().nullable(),
  failure: z.string().nullable().meta({
    description:
      "null: a success. `http_3xx`, `http_4xx`, `http_5xx`, `timeout`, `dns`, `tls`, `connection` or `blocked`",
  }),
  message: z.string().nullable(),
  excerpt: z.string().nullable().meta({ description: "The first 16 KiB of the response body" }),
});

/** A delivery with its body and its attempts. */
export const WholeDeliveryView = DeliveryView.extend({
  payload: z.unknown().meta({ description: "The body that is posted" }),
  attempt_list: z.array(AttemptView).meta({ description: `The last ${maxAttempts}` }),
});

const orders = ["event", "attempted"] as const;
const failures = [...failureClasses, "any"] as const;

/** `503`, or `5xx` for all from 500 to 599. */
const statusCode = z
  .string()
  .regex(/^[1-5](xx|\d\d)$/i, "must be a status such as 503, or a class such as 5xx")
  .max(3)
  .transform((text) => ({
    from: Number(text.replace(/xx/i, "00")),
    to: Number(text.replace(/xx/i, "99")),
  }))
  .meta({ description: "`503`, or `5xx` for all from 500 to 599" });

/** `/v1/deliveries`, and those of an endpoint. */
export function deliveryRoutes(api: ApiContext): AnyRoute[] {
  return [list(api), read(api), resend(api)];
}

function list(api: ApiContext): AnyRoute {
  const { db, clock } = api;
  const count = rememberEstimates((filter: DeliveryFilter) => countDeliveries(db, filter), clock.now);
  return defineRoute({
    method: "get",
    path: "/v1/webhooks/:id/deliveries",
    scope: "webhooks:read",
    tag,
    summary: "Deliveries of an endpoint",
    description:
      "Those of the newest events first. For recent failures: `order=attempted&failure=any`. `status_code` and `failure` filter by the last attempt.",
    errors: noSuchEndpoint,
    params: byId,
    query: z.object({
      ...pagingQuery,
      state: z.enum(deliveryStates, `must be one of ${deliveryStates.join(", ")}`).optional(),
      status_code: statusCode.optional(),
      failure: z.enum(failures, `must be one of ${failures.join(", ")}`).optional(),
      ...period,
      order: z
        .enum(orders, `must be one of ${orders.join(", ")}`)
        .default("event")
        .meta({
          description: "`attempted`: latest attempt first, without deliveries that were never attempted",
        }),
    }),
    answer: listAnswer(DeliveryView),
    async handle({ caller: { projectId }, params, query }) {
      const { id } = await endpointOf(api, projectId, params.id);
      const { state, status_code: statuses, failure, since, until } = query;
      const filter = {
        projectId,
        endpointId: id,
        states: state && [state],
        statuses,
        failure,
        since,
        until,
        isAttempted: query.order === "attempted",
      };
      const page = { rows: listDeliveries(db, filter, pageOf(query)), total: count(filter) };
      return pageAnswer(query, page, present, filter.isAttempted ? placeOfAttempt : placeOfEvent);
    },
  });
}

/** A delivery's id alone is its place: it contains the time. */
function placeOfEvent({ id }: ListedDelivery): Cursor {
  return { time: microsecondText(new Date(timeOfId(id))), id };
}

function placeOfAttempt(row: ListedDelivery): Cursor {
  return row.attempted_at_exact === null ? placeOfEvent(row) : { time: row.attempted_at_exact, id: row.id };
}

const noSuchDelivery = { 404: "There is no such delivery" };

function read(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/deliveries/:id",
    scope: "webhooks:read",
    tag,
    summary: "A delivery with its body and its attempts",
    errors: noSuchDelivery,
    params: byId,
    answer: dataAnswer(WholeDeliveryView),
    handle: async ({ caller, params }) => withData(await viewDelivery(api, caller.projectId, params.id)),
  });
}

function resend(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/deliveries/:id/resend",
    scope: "webhooks:write",
    tag,
    summary: "Post a delivery again, at once",
    description:
      "In any state, also to a disabled endpoint. It is a separate attempt: a success ends the delivery, a failure does not change its schedule. Responds with the result, within 15 seconds.",
    errors: {
      ...noSuchDelivery,
      409: "The delivery is cancelled, its person was erased, or its endpoint was removed",
    },
    params: byId,
    answer: dataAnswer(WholeDeliveryView),
    async handle({ caller: { projectId }, params }) {
      const delivery = await deliveryOf(api, projectId, params.id);
      if (delivery.state === "cancelled") throw new ApiError(409, "The delivery is cancelled");
      if (delivery.body.endsWith(erasedWebhookEnd)) throw new ApiError(409, "Its person was erased");
      const isPosted = await resendDelivery(api, delivery);
      if (!isPosted) throw new ApiError(409, "The endpoint of this delivery was removed");
      return withData(await viewDelivery(api, projectId, delivery.id));
    },
  });
}

/** @throws ApiError 404 */
export async function viewDelivery(
  api: Pick<ApiContext, "db">,
  projectId: string,
  id: string,
): Promise<z.input<typeof WholeDeliveryView>> {
  const row = await deliveryOf(api, projectId, id);
  const attempts = await attemptsOf(api.db, row, maxAttempts);
  return {
    ...present(row),
    payload: parseExactJson(row.body),
    attempt_list: attempts.map(presentAttempt),
  };
}

/** @throws ApiError 404 */
function deliveryOf({ db }: Pick<ApiContext, "db">, projectId: string, id: string): Promise<WholeDelivery> {
  return foundById(id, (uuid) => findDelivery(db, projectId, uuid), noSuchDelivery[404]);
}

function present(row: ReadDelivery): z.input<typeof DeliveryView> {
  return {
    id: row.id,
    webhook_id: row.endpoint_id,
    event_id: row.event_id,
    event: row.event_type,
    event_timestamp: new Date(timeOfId(row.id)).toISOString(),
    state: row.state,
    attempts: row.attempts,
    next_attempt_at: isoOrNull(row.next_attempt_at),
    created_at: row.created_at.toISOString(),
    finished_at: isoOrNull(row.finished_at),
    last_attempt_at: isoOrNull(row.last_attempt_at),
    last_status: row.last_status,
    last_failure: row.last_failure,
  };
}

function presentAttempt({ is_manual, started_at, ...row }: ReadAttempt): z.input<typeof AttemptView> {
  return { ...row, manual: is_manual, started_at: started_at.toISOString() };
}
