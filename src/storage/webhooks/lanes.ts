import type { LaneState } from "../../domain/webhooks/lane-state.ts";
import type { RateAllowance } from "../../domain/webhooks/rate-allowance.ts";
import type { Database } from "../database.ts";
import { type Endpoint, type EndpointRef, endpointColumns } from "./endpoints.ts";

/** An endpoint in its turn. */
export type TurningEndpoint = Endpoint & {
  /** Encrypted, those that sign now, the newest first. */
  sealed_secrets: Buffer[];
  sealed_headers: Buffer | null;
  lane: LaneState;
  allowance: RateAllowance;
  /** The database's clock, one for all processes. */
  now: Date;
};

type LaneRow = Endpoint &
  LaneState &
  RateAllowance &
  Pick<TurningEndpoint, "sealed_secrets" | "sealed_headers" | "now">;

const laneColumns = "paused_until, breaker_openings, slowdowns, recent, failing_since, last_success_at";

/**
 * Locks the lane of an endpoint for the length of the transaction, so that one process at a time takes deliveries or
 * writes how they went.
 * @returns null when there is no such endpoint.
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

/** How a lane is, without a lock. @returns null when there is no such endpoint. */
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

/** Lets a lane rest: a fault of ours keeps it from posting. A pause that is longer stays. */
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

/** Enabled endpoints that may have a turn and are owed something now. One look into an index for each endpoint. */
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
