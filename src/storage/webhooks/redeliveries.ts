import { conditions } from "../conditions.ts";
import type { Database } from "../database.ts";
import { addCursor, exactTimeSql, type Page, pageLimit } from "../pages.ts";
import { countRows, type Total } from "../totals.ts";
import type { EndpointRef } from "./endpoints.ts";

export type RedeliveryScope = "failed" | "undelivered" | "all";

/** Which of an endpoint's past events are delivered again. */
export type RedeliveryRequest = {
  endpoint_id: string;
  scope: RedeliveryScope;
  /** Event times, both inclusive. */
  since: Date;
  until: Date;
  /** null: those that the endpoint subscribes to. */
  event_types: string[] | null;
  /** null: as fast as the endpoint takes it. */
  rate_per_second: number | null;
};

/** @property place its progress; null at the start. */
export type Redelivery = RedeliveryRequest & {
  project_id: string;
  id: string;
  state: "running" | "finished" | "cancelled";
  /** Deliveries to make, when it started. */
  total: number;
  total_is_estimate: boolean;
  /** Deliveries made due so far. */
  queued: number;
  place: unknown;
  created_at: Date;
  finished_at: Date | null;
};

const columns = `project_id, id, endpoint_id, scope, since, until, event_types, rate_per_second, state, total, total_is_estimate, queued,
  place, created_at, finished_at`;

export async function insertRedelivery(
  db: Database,
  redelivery: RedeliveryRequest & { project_id: string; id: string },
  { total, isEstimate }: Total,
): Promise<Redelivery> {
  const [row] = await db.query<Redelivery>(
    `insert into replays (project_id, id, endpoint_id, scope, since, until, event_types, rate_per_second, total,
       total_is_estimate)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning ${columns}`,
    [
      redelivery.project_id,
      redelivery.id,
      redelivery.endpoint_id,
      redelivery.scope,
      redelivery.since,
      redelivery.until,
      redelivery.event_types,
      redelivery.rate_per_second,
      total,
      isEstimate,
    ],
  );
  if (row === undefined) throw new Error("unreachable: an insert returns its row");
  return row;
}

export async function findRedelivery(
  db: Database,
  projectId: string,
  id: string,
): Promise<Redelivery | null> {
  const [redelivery] = await db.query<Redelivery>(
    `select ${columns} from replays where project_id = $1 and id = $2`,
    [projectId, id],
  );
  return redelivery ?? null;
}

export type ListedRedelivery = Redelivery & { created_at_exact: string };

/** Redeliveries of an endpoint, newest first. */
export async function listRedeliveries(
  db: Database,
  endpoint: EndpointRef,
  page: Page,
): Promise<ListedRedelivery[]> {
  const { add, where, params } = conditions();
  add("project_id = ?", endpoint.project_id);
  add("endpoint_id = ?", endpoint.id);
  addCursor({ add }, "created_at, id", page.after);
  return db.query<ListedRedelivery>(
    `select ${columns}, ${exactTimeSql("created_at")} as created_at_exact
     from replays where ${where()} order by created_at desc, id desc
     ${pageLimit(page)}`,
    params,
  );
}

export async function countRedeliveries(db: Database, endpoint: EndpointRef): Promise<Total> {
  return countRows(db, "from replays where project_id = $1 and endpoint_id = $2", [
    endpoint.project_id,
    endpoint.id,
  ]);
}

export async function countRunningRedeliveries(db: Database, endpoint: EndpointRef): Promise<number> {
  const [row] = await db.query<{ count: number }>(
    `select count(*)::integer as count from replays
     where project_id = $1 and endpoint_id = $2 and state = 'running'`,
    [endpoint.project_id, endpoint.id],
  );
  return row?.count ?? 0;
}

/** @returns whether it was running. */
export async function cancelRedelivery(db: Database, projectId: string, id: string): Promise<boolean> {
  const cancelled = await db.query(
    `update replays set state = 'cancelled', finished_at = now()
     where project_id = $1 and id = $2 and state = 'running' returning id`,
    [projectId, id],
  );
  return cancelled.length > 0;
}

export async function cancelRedeliveriesOf(tx: Database, endpoint: EndpointRef): Promise<void> {
  await tx.query(
    `update replays set state = 'cancelled', finished_at = now()
     where project_id = $1 and endpoint_id = $2 and state = 'running'`,
    [endpoint.project_id, endpoint.id],
  );
}

/**
 * Locks a redelivery whose next step is due, for this transaction: the one that has waited longest. Those of disabled
 * endpoints wait until these are enabled.
 */
export async function takeRedelivery(tx: Database): Promise<Redelivery | null> {
  const [taken] = await tx.query<Redelivery>(
    `select ${columns} from replays redelivery
     where state = 'running' and next_step_at <= now() and exists (
       select from webhook_endpoints
       where project_id = redelivery.project_id and id = redelivery.endpoint_id and webhook_endpoints.state = 'enabled')
     order by next_step_at limit 1 for update skip locked`,
  );
  return taken ?? null;
}

/**
 * Records the progress of a redelivery.
 * @param place null: it is finished.
 * @param pauseMs until its next step.
 */
export async function recordRedeliveryStep(
  tx: Database,
  { project_id, id }: Pick<Redelivery, "project_id" | "id">,
  { place, queued, pauseMs }: { place: object | null; queued: number; pauseMs: number },
): Promise<void> {
  await tx.query(
    `update replays set place = $3, queued = queued + $4, next_step_at = now() + $5 * interval '1 millisecond',
       state = case when $3::jsonb is null then 'finished' else state end,
       finished_at = case when $3::jsonb is null then now() end
     where project_id = $1 and id = $2`,
    [project_id, id, place === null ? null : JSON.stringify(place), queued, pauseMs],
  );
}
