import { firstIdAt } from "../../domain/computed-id.ts";
import type { FailureClass } from "../../domain/webhooks/outcome.ts";
import { type Conditions, conditions } from "../conditions.ts";
import type { Database } from "../database.ts";
import { addCursor, exactTimeSql, type Page, pageLimit } from "../pages.ts";
import { countRows, type Total } from "../totals.ts";
import type { EndpointRef } from "./endpoints.ts";
import type { AttemptRow } from "./leases.ts";

export const deliveryStates = [
  "pending",
  "leased",
  "succeeded",
  "retrying",
  "exhausted",
  "held",
  "cancelled",
] as const;
type DeliveryState = (typeof deliveryStates)[number];

/** A delivery as it is read. */
export type ReadDelivery = {
  project_id: string;
  id: string;
  endpoint_id: string;
  event_id: string;
  event_type: string;
  state: DeliveryState;
  attempts: number;
  /** When it is posted next; null when it is not. */
  next_attempt_at: Date | null;
  created_at: Date;
  finished_at: Date | null;
  /** Null before the first attempt; then so are the next two. */
  last_attempt_at: Date | null;
  /** Of the answer; null when there was none. */
  last_status: number | null;
  /** Null: a success. */
  last_failure: FailureClass | null;
};

/** A lane that rests, because of its breaker for example, puts off what is due. */
const columns = `delivery.project_id, delivery.id, delivery.endpoint_id, event_id, event_type, delivery.state, attempts,
  case when delivery.state in ('pending', 'retrying') then greatest(due_at, lane.paused_until) end as next_attempt_at,
  delivery.created_at, finished_at, last_attempt_at, last_status, last_failure`;
const ofDeliveries = `from deliveries delivery left join webhook_lanes lane
  on lane.project_id = delivery.project_id and lane.endpoint_id = delivery.endpoint_id`;

export type DeliveryFilter = {
  projectId: string;
  endpointId: string;
  states?: readonly DeliveryState[] | undefined;
  /** Times of events, both inclusive. */
  since?: Date | undefined;
  until?: Date | undefined;
  /** Of the answer to the last attempt, both inclusive. */
  statuses?: { from: number; to: number } | undefined;
  /** Of the last attempt; `any` that failed. */
  failure?: FailureClass | "any" | undefined;
  /** Those that an attempt was made of alone, the last one first; otherwise those of the newest events first. */
  isAttempted: boolean;
};

export type ListedDelivery = ReadDelivery & { attempted_at_exact: string | null };

/** Deliveries of an endpoint. @param page.after the place of the last one read; the id alone tells that of its event. */
export async function listDeliveries(
  db: Database,
  filter: DeliveryFilter,
  page: Page,
): Promise<ListedDelivery[]> {
  const { add, where, params } = matching(filter);
  const { after } = page;
  if (filter.isAttempted) addCursor({ add }, "last_attempt_at, delivery.id", after);
  else add("delivery.id < ?", after?.id);
  return db.query<ListedDelivery>(
    `select ${columns}, ${exactTimeSql("last_attempt_at")} as attempted_at_exact
     ${ofDeliveries} where ${where()}
     order by ${filter.isAttempted ? "last_attempt_at desc, " : ""}delivery.id desc
     ${pageLimit(page)}`,
    params,
  );
}

export async function countDeliveries(db: Database, filter: DeliveryFilter): Promise<Total> {
  const { where, params } = matching(filter);
  return countRows(db, `from deliveries delivery where ${where()}`, params);
}

function matching(filter: DeliveryFilter): Conditions {
  const { projectId, endpointId, states, since, until, statuses, failure, isAttempted } = filter;
  const matched = conditions();
  const { add } = matched;
  add("delivery.project_id = ?", projectId);
  add("delivery.endpoint_id = ?", endpointId);
  add("delivery.state = any(?::text[])", states);
  // The id of a delivery holds the time of its event.
  add("delivery.id >= ?::uuid", since && firstIdAt(since.getTime()));
  add("delivery.id < ?::uuid", until && firstIdAt(until.getTime() + 1));
  if (isAttempted) add("last_attempt_at is not null");
  add("last_status between ? and ?", statuses?.from, statuses?.to);
  if (failure === "any") add("last_failure is not null");
  else add("last_failure = ?", failure);
  return matched;
}

/** A delivery with what was posted. */
export type WholeDelivery = ReadDelivery & { body: string; traceparent: string | null };

/** @returns null when there is none. */
export async function findDelivery(
  db: Database,
  projectId: string,
  id: string,
): Promise<WholeDelivery | null> {
  const [delivery] = await db.query<WholeDelivery>(
    `select ${columns}, body, traceparent ${ofDeliveries} where delivery.project_id = $1 and delivery.id = $2`,
    [projectId, id],
  );
  return delivery ?? null;
}

export type ReadAttempt = AttemptRow & { is_manual: boolean };

/** The last attempts of a delivery, the first of them first. */
export async function attemptsOf(
  db: Database,
  { project_id, id }: Pick<ReadDelivery, "project_id" | "id">,
  limit: number,
): Promise<ReadAttempt[]> {
  const attempts = await db.query<ReadAttempt>(
    `select id, number, started_at, duration_ms, status, failure, message, excerpt, is_manual from attempts
     where project_id = $1 and delivery_id = $2 order by started_at desc, id desc limit $3`,
    [project_id, id, limit],
  );
  return attempts.toReversed();
}

/** How many deliveries are held for an endpoint, and the time of the oldest event among them. */
export async function heldDeliveries(
  db: Database,
  endpoint: EndpointRef,
): Promise<{ count: number; oldest_id: string | null }> {
  const [held] = await db.query<{ count: number; oldest_id: string | null }>(
    `select count(*)::integer as count, (min(id::text))::uuid as oldest_id from deliveries
     where project_id = $1 and endpoint_id = $2 and state = 'held'`,
    [endpoint.project_id, endpoint.id],
  );
  return held ?? { count: 0, oldest_id: null };
}

/** What waits and what is on its way, over all endpoints that are enabled. */
export type LaneTotals = { due: number; in_flight: number; oldest_due_seconds: number };

export async function laneTotals(db: Database): Promise<LaneTotals> {
  const [totals] = await db.query<LaneTotals>(
    `select coalesce(sum(due.count), 0)::integer as due,
       (select count(*)::integer from deliveries where state = 'leased') as in_flight,
       coalesce(extract(epoch from now() - min(due.oldest)), 0)::float as oldest_due_seconds
     from webhook_endpoints endpoint, lateral (
       select count(*) as count, min(greatest(due_at, created_at)) as oldest from deliveries
       where project_id = endpoint.project_id and endpoint_id = endpoint.id
         and deliveries.state in ('pending', 'retrying') and due_at <= now()) as due
     where endpoint.state = 'enabled'`,
  );
  return totals ?? { due: 0, in_flight: 0, oldest_due_seconds: 0 };
}

/** How many endpoints there are in each state. */
export async function endpointTotals(db: Database): Promise<{ enabled: number; disabled: number }> {
  const [totals] = await db.query<{ enabled: number; disabled: number }>(
    `select count(*) filter (where state = 'enabled')::integer as enabled,
       count(*) filter (where state = 'disabled')::integer as disabled from webhook_endpoints`,
  );
  return totals ?? { enabled: 0, disabled: 0 };
}
