import type { OwedDelivery } from "../domain/owed-delivery.ts";
import { type Columns, columnList, rowSource } from "./columns.ts";
import type { Database } from "./database.ts";

export type NewDelivery = OwedDelivery & { project_id: string };

const newColumns: Columns<NewDelivery> = {
  project_id: "uuid",
  id: "uuid",
  endpoint_id: "uuid",
  event_id: "uuid",
  event_type: "text",
  body: "text",
  state: "text",
};

/** Writes what endpoints are owed, in the transaction that writes the events. A delivery that is there stays. */
export async function insertDeliveries(tx: Database, rows: readonly NewDelivery[]): Promise<void> {
  const source = rowSource(newColumns, rows);
  await tx.query(
    `insert into deliveries (${columnList(newColumns)}) select ${columnList(newColumns)} from ${source.sql}
     on conflict do nothing`,
    source.params,
  );
}

/** A delivery that is ours to post until its lease expires. */
export type LeasedDelivery = { id: string; event_id: string; body: string; attempts: number };

/**
 * Takes due deliveries of an endpoint, the longest due first.
 * @param leaseSeconds outlasts an attempt, so that no other process posts the same at the same time.
 */
export async function leaseDue(
  db: Database,
  endpoint: { project_id: string; id: string },
  lease: { id: string; seconds: number; limit: number },
): Promise<LeasedDelivery[]> {
  return db.query<LeasedDelivery>(
    `with due as (
       select id from deliveries
       where project_id = $1 and endpoint_id = $2 and state in ('pending', 'retrying') and due_at <= now()
       order by due_at, id limit $3 for update skip locked
     )
     update deliveries set state = 'leased', lease_id = $4, lease_expires_at = now() + $5 * interval '1 second'
     from due where deliveries.project_id = $1 and deliveries.id = due.id
     returning deliveries.id, event_id, body, attempts`,
    [endpoint.project_id, endpoint.id, lease.limit, lease.id, lease.seconds],
  );
}

/** What an attempt came to, and the row that tells of it. */
export type FinishedAttempt = {
  delivery_id: string;
  /** `retrying` waits for `delay_ms`; so does `pending`, which says that no attempt was used up. */
  state: "succeeded" | "retrying" | "exhausted" | "pending";
  delay_ms: number;
  attempt: AttemptRow | null;
};

type AttemptRow = {
  id: string;
  number: number;
  started_at: Date;
  duration_ms: number;
  status: number | null;
  failure: string | null;
  message: string | null;
  excerpt: string | null;
};

/**
 * Writes the outcomes of a turn. Fenced by the lease: where it has expired and another process took the
 * delivery, that one's outcome stands, and only the attempt is listed.
 */
export async function finishLease(
  db: Database,
  projectId: string,
  leaseId: string,
  finished: readonly FinishedAttempt[],
): Promise<void> {
  const outcomes = finished.map(({ delivery_id, state, delay_ms, attempt }) => ({
    delivery_id,
    state,
    delay_ms,
    attempt_made: attempt !== null,
  }));
  const outcome = rowSource(
    { delivery_id: "uuid", state: "text", delay_ms: "double precision", attempt_made: "boolean" },
    outcomes,
    3,
  );
  await db.transaction(async (tx) => {
    await tx.query(
      `update deliveries set state = rows.state, lease_id = null, lease_expires_at = null,
         attempts = attempts + rows.attempt_made::integer,
         due_at = now() + rows.delay_ms * interval '1 millisecond',
         finished_at = case when rows.state in ('succeeded', 'exhausted') then now() end
       from ${outcome.sql}
       where deliveries.project_id = $1 and deliveries.id = rows.delivery_id
         and deliveries.lease_id = $2 and deliveries.state = 'leased'`,
      [projectId, leaseId, ...outcome.params],
    );
    await insertAttempts(tx, projectId, finished);
  });
}

async function insertAttempts(
  tx: Database,
  projectId: string,
  finished: readonly FinishedAttempt[],
): Promise<void> {
  const attempts = finished.flatMap(({ delivery_id, attempt }) =>
    attempt ? [{ delivery_id, ...attempt }] : [],
  );
  if (attempts.length === 0) return;
  const columns: Columns<AttemptRow & { delivery_id: string }> = {
    delivery_id: "uuid",
    id: "uuid",
    number: "integer",
    started_at: "timestamptz",
    duration_ms: "integer",
    status: "integer",
    failure: "text",
    message: "text",
    excerpt: "text",
  };
  const source = rowSource(columns, attempts, 2);
  await tx.query(
    `insert into attempts (project_id, ${columnList(columns)}) select $1, ${columnList(columns)} from ${source.sql}`,
    [projectId, ...source.params],
  );
}

/** Takes back deliveries whose process has died on them. @returns how many. */
export async function releaseExpiredLeases(db: Database): Promise<number> {
  const rows = await db.query(
    `update deliveries set state = 'retrying', lease_id = null, lease_expires_at = null, due_at = now()
     where state = 'leased' and lease_expires_at < now() returning id`,
  );
  return rows.length;
}

/** Enabled endpoints that are owed something now. One look into an index for each endpoint. */
export async function endpointsDue(db: Database): Promise<{ project_id: string; id: string }[]> {
  return db.query(
    `select project_id, id from webhook_endpoints endpoint
     where state = 'enabled' and exists (
       select 1 from deliveries
       where project_id = endpoint.project_id and endpoint_id = endpoint.id
         and state in ('pending', 'retrying') and due_at <= now())`,
  );
}
