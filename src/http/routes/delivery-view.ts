import { z } from "zod";
import { timeOfId, uuidOrNull } from "../../domain/computed-id.ts";
import { parseExactJson } from "../../domain/exact-json.ts";
import {
  attemptsOf,
  deliveryStates,
  findDelivery,
  type ReadAttempt,
  type ReadDelivery,
  type WholeDelivery as StoredDelivery,
} from "../../storage/webhooks/delivery-queries.ts";
import type { ApiContext } from "../api-context.ts";
import { ApiError } from "../errors.ts";

/** A delivery in a list. */
export const Delivery = z.object({
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
  last_status: z.number().nullable().meta({ description: "What the last attempt was answered" }),
  last_failure: z.string().nullable().meta({ description: "Of the last attempt, as in `attempt_list`" }),
});

const maxAttempts = 100;

const Attempt = z.object({
  id: z.string(),
  number: z.number(),
  manual: z.boolean().meta({ description: "Made by hand, and no step of the schedule" }),
  started_at: z.string(),
  duration_ms: z.number(),
  status: z.number().nullable(),
  failure: z.string().nullable().meta({
    description:
      "null: a success. `http_3xx`, `http_4xx`, `http_5xx`, `timeout`, `dns`, `tls`, `connection` or `blocked`",
  }),
  message: z.string().nullable(),
  excerpt: z.string().nullable().meta({ description: "The first 16 KiB of the answer's body" }),
});

/** A delivery with what is posted and what was answered. */
export const WholeDelivery = Delivery.extend({
  payload: z.unknown().meta({ description: "The body that is posted" }),
  attempt_list: z.array(Attempt).meta({ description: `The last ${maxAttempts}` }),
});

export function presentDelivery(row: ReadDelivery): z.input<typeof Delivery> {
  return {
    id: row.id,
    webhook_id: row.endpoint_id,
    event_id: row.event_id,
    event: row.event_type,
    event_timestamp: new Date(timeOfId(row.id)).toISOString(),
    state: row.state,
    attempts: row.attempts,
    next_attempt_at: row.next_attempt_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    finished_at: row.finished_at?.toISOString() ?? null,
    last_attempt_at: row.last_attempt_at?.toISOString() ?? null,
    last_status: row.last_status,
    last_failure: row.last_failure,
  };
}

export async function presentWhole(
  { db }: Pick<ApiContext, "db">,
  row: StoredDelivery,
): Promise<z.input<typeof WholeDelivery>> {
  const attempts = await attemptsOf(db, row, maxAttempts);
  return {
    ...presentDelivery(row),
    payload: parseExactJson(row.body),
    attempt_list: attempts.map(presentAttempt),
  };
}

function presentAttempt({ is_manual, started_at, ...row }: ReadAttempt): z.input<typeof Attempt> {
  return { ...row, manual: is_manual, started_at: started_at.toISOString() };
}

export const noSuchDelivery = { 404: "There is no such delivery" };

/** @throws ApiError 404 when the project has no such delivery. */
export async function wholeDeliveryOf(
  { db }: Pick<ApiContext, "db">,
  projectId: string,
  id: string,
): Promise<StoredDelivery> {
  const uuid = uuidOrNull(id);
  const delivery = uuid && (await findDelivery(db, projectId, uuid));
  if (!delivery) throw new ApiError(404, noSuchDelivery[404]);
  return delivery;
}
