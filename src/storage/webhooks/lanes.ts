import type { LaneState } from "../../domain/webhooks/lane-state.ts";
import type { RateAllowance } from "../../domain/webhooks/rate-allowance.ts";
import type { Database } from "../database.ts";
import { type Endpoint, type EndpointRef, endpointColumns } from "./endpoints.ts";

/** An endpoint during its turn. */
export type TurningEndpoint = Endpoint & {
  /** The active secrets, encrypted, newest first. */
  sealed_secrets: Buffer[];
  sealed_headers: Buffer | null;
  lane: LaneState;
  allowance: RateAllowance;
  /** By the database's clock, which all processes share. */
  now: Date;
};

type LaneRow = Endpoint &
  LaneState &
  RateAllowance &
  Pick<TurningEndpoint, "sealed_secrets" | "sealed_headers" | "now">;

const laneColumns = "paused_until, breaker_openings, slowdowns, recent, failing_since, last_success_at";

/**
 * Locks an endpoint's lane for this transaction, so that one process at a time leases deliveries or writes their outcomes.
 * @returns null if there is no such endpoint.
 */
export async function lockLane(
  tx: Database,
  { projectId, endpointId }: { projectId: string; endpointId: string },
): Promise<TurningEndpoint | null> {
  const [row] = await tx.query<LaneRow>(
    `select ${endpointColumns}, endpoint.sealed_headers, ${laneColumns}, tokens, tokens_at, clock_timestamp() as now,
       array(select sealed from webhook_secrets secret
             where secret.project_id = $1 and secret.endpoint_id = $2
               and (expires_at is null or expires_at > now())
             order by created_at desc, id desc) as sealed_secrets
     from webhook_lanes lane
     join webhook_endpoints endpoint on endpoint.project_id = lane.project_id and endpoint.id = lane.endpoint_id
     where lane.project_id = $1 and lane.endpoint_id = $2 and endpoint.state <> 'deleted'
     for update of lane`,
    [projectId, endpointId],
  );
  if (row === undefined) return null;
  const { paused_until, breaker_openings, slowdowns, recent, failing_since, last_success_at, ...others } =
    row;
  const { tokens, tokens_at, ...endpoint } = others;
  const lane = { paused_until, breaker_openings, slowdowns, recent, failing_since, last_success_at };
  return { ...endpoint, lane, allowance: { tokens, tokens_at } };
}

/** Reads a lane without locking it. @returns null if there is no such endpoint. */
export async function readLane(
  db: Database,
  { project_id, id }: EndpointRef,
): Promise<(LaneState & { now: Date }) | null> {
  const [lane] = await db.query<LaneState & { now: Date }>(
    `select ${laneColumns}, now() as now from webhook_lanes where project_id = $1 and endpoint_id = $2`,
    [project_id, id],
  );
  return lane ?? null;
}

export async function writeLane(
  tx: Database,
  { project_id, id }: EndpointRef,
  lane: LaneState,
): Promise<void> {
  await tx.query(
    `update webhook_lanes set paused_until = $3, breaker_openings = $4, slowdowns = $5, recent = $6,
       failing_since = $7, last_success_at = $8
     where project_id = $1 and endpoint_id = $2`,
    [
      project_id,
      id,
      lane.paused_until,
      lane.breaker_openings,
      lane.slowdowns,
      JSON.stringify(lane.recent),
      lane.failing_since,
      lane.last_success_at,
    ],
  );
}

export async function writeAllowance(
  tx: Database,
  { project_id, id }: EndpointRef,
  { tokens, tokens_at }: RateAllowance,
): Promise<void> {
  await tx.query(
    "update webhook_lanes set tokens = $3, tokens_at = $4 where project_id = $1 and endpoint_id = $2",
    [project_id, id, tokens, tokens_at],
  );
}

/** Pauses a lane after an internal error; a longer pause stays. */
export async function pauseLane(
  db: Database,
  { project_id, id }: EndpointRef,
  seconds: number,
): Promise<void> {
  await db.query(
    `update webhook_lanes set paused_until = greatest(paused_until, now() + $3 * interval '1 second')
     where project_id = $1 and endpoint_id = $2`,
    [project_id, id, seconds],
  );
}

/** Enabled endpoints with due deliveries whose lanes are not paused. One index lookup for each endpoint. */
export async function endpointsDue(db: Database): Promise<{ projectId: string; endpointId: string }[]> {
  return db.query(
    `select endpoint.project_id as "projectId", endpoint.id as "endpointId"
     from webhook_endpoints endpoint
     join webhook_lanes lane on lane.project_id = endpoint.project_id and lane.endpoint_id = endpoint.id
     where state = 'enabled' and (paused_until is null or paused_until <= now()) and exists (
       select from deliveries
       where project_id = endpoint.project_id and endpoint_id = endpoint.id
         and state in ('pending', 'retrying') and due_at <= now())`,
  );
}

/** Due and leased deliveries of all enabled endpoints. */
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

export async function endpointTotals(db: Database): Promise<{ enabled: number; disabled: number }> {
  const [totals] = await db.query<{ enabled: number; disabled: number }>(
    `select count(*) filter (where state = 'enabled')::integer as enabled,
       count(*) filter (where state = 'disabled')::integer as disabled from webhook_endpoints`,
  );
  return totals ?? { enabled: 0, disabled: 0 };
}
