import { z } from "zod";
import { timeOfId } from "../../domain/computed-id.ts";
import type { Cursor } from "../../domain/cursor.ts";
import { erasedWebhookEnd } from "../../domain/erasure.ts";
import { failureClasses } from "../../domain/webhooks/outcome.ts";
import { rememberEstimates } from "../../storage/totals.ts";
import {
  countDeliveries,
  type DeliveryFilter,
  deliveryStates,
  type ListedDelivery,
  listDeliveries,
} from "../../storage/webhooks/delivery-queries.ts";
import { resendDelivery } from "../../webhooks/post-by-hand.ts";
import type { ApiContext } from "../api-context.ts";
import { ApiError } from "../errors.ts";
import { pathText, time, untilTime } from "../fields.ts";
import { Pagination, pageAnswer, pageOf, pagingQuery } from "../paging.ts";
import { type AnyRoute, defineRoute } from "../route.ts";
import {
  Delivery,
  noSuchDelivery,
  presentDelivery,
  presentWhole,
  WholeDelivery,
  wholeDeliveryOf,
} from "./delivery-view.ts";
import { endpointOf, noSuchEndpoint } from "./webhook-view.ts";

const tag = "Webhooks";
const byId = z.object({ id: pathText });
const One = z.object({ success: z.literal(true), data: WholeDelivery });

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

/** Deliveries of endpoints, and what was answered. */
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
      "Those of the newest events first. What failed lately: `order=attempted&failure=any`. `status_code` and `failure` are those of the last attempt.",
    errors: noSuchEndpoint,
    params: byId,
    query: z.object({
      ...pagingQuery,
      state: z.enum(deliveryStates, `must be one of ${deliveryStates.join(", ")}`).optional(),
      status_code: statusCode.optional(),
      failure: z.enum(failures, `must be one of ${failures.join(", ")}`).optional(),
      since: time.optional(),
      until: untilTime.optional(),
      order: z
        .enum(orders, `must be one of ${orders.join(", ")}`)
        .default("event")
        .meta({ description: "`attempted`: the last attempt first; what was never attempted is left out" }),
    }),
    answer: z.object({ success: z.literal(true), data: z.array(Delivery), pagination: Pagination }),
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
      const page = await Promise.all([listDeliveries(db, filter, pageOf(query)), count(filter)]);
      return pageAnswer(query, page, presentDelivery, filter.isAttempted ? placeOfAttempt : placeOfEvent);
    },
  });
}

/** The id alone tells the place; it holds the time. */
function placeOfEvent({ id }: ListedDelivery): Cursor {
  return { time: new Date(timeOfId(id)).toISOString().replace("Z", "000Z"), id };
}

function placeOfAttempt(row: ListedDelivery): Cursor {
  return row.attempted_at_exact === null ? placeOfEvent(row) : { time: row.attempted_at_exact, id: row.id };
}

function read(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/deliveries/:id",
    scope: "webhooks:read",
    tag,
    summary: "One delivery, with its body and its attempts",
    errors: noSuchDelivery,
    params: byId,
    query: z.object({}),
    answer: One,
    async handle({ caller, params }) {
      const delivery = await wholeDeliveryOf(api, caller.projectId, params.id);
      return { success: true as const, data: await presentWhole(api, delivery) };
    },
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
      "Whatever its state, also to an endpoint that is disabled. It is an attempt of its own: a success ends the delivery, a failure leaves its schedule alone. Answers what came of it, within 15 seconds.",
    errors: {
      ...noSuchDelivery,
      409: "The delivery is cancelled, its person was erased, or its endpoint was removed",
    },
    params: byId,
    query: z.object({}),
    answer: One,
    async handle({ caller: { projectId }, params }) {
      const delivery = await wholeDeliveryOf(api, projectId, params.id);
      if (delivery.state === "cancelled") throw new ApiError(409, "The delivery is cancelled");
      if (delivery.body.endsWith(erasedWebhookEnd)) throw new ApiError(409, "Its person was erased");
      const isPosted = await resendDelivery(api, delivery);
      if (!isPosted) throw new ApiError(409, "The endpoint of this delivery was removed");
      const after = await wholeDeliveryOf(api, projectId, delivery.id);
      return { success: true as const, data: await presentWhole(api, after) };
    },
  });
}
