import type { WebhookEvent } from "../../domain/webhooks/event.ts";
import type { DeliveryOutcome, MadeAttempt } from "../../domain/webhooks/outcome.ts";
import { type Columns, columnList, rowSource } from "../columns.ts";
import type { Database } from "../database.ts";
import type { EndpointRef } from "./endpoints.ts";

/** A delivery that this process may post until its lease expires. */
export type LeasedDelivery = {
  id: string;
  event_id: string;
  body: string;
  /** POSTs so far. */
  attempts: number;
  /** POSTs in the present schedule. */
  schedule_step: number;
  /** Of its notification; null: that is not traced. */
  traceparent: string | null;
};

export type Lease = {
  id: string;
  /** Longer than an attempt, so that no other process posts the same delivery at the same time. */
  seconds: number;
  /** Most deliveries to take. */
  limit: number;
};

/**
 * Leases due deliveries of an endpoint, longest due first. An ordered endpoint gets none while one of its deliveries is
 * leased.
 */
export async function leaseDue(
  tx: Database,
  endpoint: EndpointRef & { ordered: boolean },
  lease: Lease,
): Promise<LeasedDelivery[]> {
  const { project_id, id, ordered } = endpoint;
  const isFree = `not exists (
    select from deliveries where project_id = $1 and endpoint_id = $2 and state = 'leased')`;
  const rows = await tx.query<LeasedDelivery & { due_at: Date }>(
    `with due as (
       select id from deliveries
       where project_id = $1 and endpoint_id = $2 and state in ('pending', 'retrying') and due_at <= now()
         ${ordered ? `and ${isFree}` : ""}
       order by due_at, id limit $3 for update skip locked
     )
     update deliveries set state = 'leased', lease_id = $4, lease_expires_at = now() + $5 * interval '1 second'
     from due where deliveries.project_id = $1 and deliveries.id = due.id
     returning deliveries.id, event_id, body, attempts, schedule_step, traceparent, due_at`,
    [project_id, id, lease.limit, lease.id, lease.seconds],
  );
  return rows.toSorted(
    (one, other) => one.due_at.getTime() - other.due_at.getTime() || (one.id < other.id ? -1 : 1),
  );
}

/** A POST, as the attempts of a delivery list it. */
export type AttemptRow = Omit<MadeAttempt, "kind" | "retryAfterMs"> & {
  id: string;
  number: number;
  started_at: Date;
  duration_ms: number;
};

/** The outcome of a leased delivery. */
export type FinishedDelivery = {
  delivery_id: string;
  /** `released`: nothing was posted; with a `delayMs` of 0 it is due as before. */
  outcome: DeliveryOutcome | { state: "released"; delayMs: number };
  attempt: AttemptRow | null;
};

const outcomeColumns = {
  delivery_id: "uuid",
  state: "text",
  delay_ms: "double precision",
  attempt_id: "uuid",
  number: "integer",
  started_at: "timestamptz",
  duration_ms: "integer",
  status: "integer",
  failure: "text",
  message: "text",
  excerpt: "text",
} as const;

/**
 * Writes the outcomes of a turn and its attempts, in one statement. Fenced by the lease: if it has expired and another
 * process took the delivery, that process decides the outcome, and only the attempt is recorded. Every change out of the
 * state `leased` clears the lease; a condition on the state too would make the planner read everything in flight.
 * @param ordered a retried delivery then stays the first one due, and its lane waits for it.
 */
export async function finishLease(
  tx: Database,
  { project_id, ordered }: { project_id: string; ordered: boolean },
  leaseId: string,
  finished: readonly FinishedDelivery[],
): Promise<void> {
  if (finished.length === 0) return;
  const outcomes = finished.map(({ delivery_id, outcome, attempt }) => ({
    delivery_id,
    state: outcome.state,
    delay_ms: ordered ? null : delayOf(outcome),
    attempt_id: attempt?.id,
    number: attempt?.number,
    started_at: attempt?.started_at,
    duration_ms: attempt?.duration_ms,
    status: attempt?.status,
    failure: attempt?.failure,
    message: attempt?.message,
    excerpt: attempt?.excerpt,
  }));
  const source = rowSource(outcomeColumns, outcomes, 3);
  await tx.query(
    `with rows as materialized (select * from ${source.sql}),
     recorded as (
       insert into attempts (project_id, ${columnList(attemptColumns)})
       select $1, delivery_id, attempt_id, number, started_at, duration_ms, status, failure, message, excerpt, false
       from rows where attempt_id is not null
     ),
     locked as (
       select rows.* from deliveries join rows on rows.delivery_id = deliveries.id
       where deliveries.project_id = $1 order by deliveries.id for update of deliveries
     )
     update deliveries set lease_id = null, lease_expires_at = null,
       attempts = attempts + (attempt_id is not null)::integer,
       schedule_step = schedule_step + (attempt_id is not null)::integer,
       state = case when rows.state <> 'released' then rows.state when attempts > 0 then 'retrying' else 'pending' end,
       due_at = case when delay_ms is null then due_at else now() + delay_ms * interval '1 millisecond' end,
       finished_at = case when rows.state in ('succeeded', 'exhausted') then now() end,
       last_attempt_at = case when attempt_id is null then last_attempt_at else started_at end,
       last_status = case when attempt_id is null then last_status else status end,
       last_failure = case when attempt_id is null then last_failure else failure end
     from locked as rows
     where deliveries.project_id = $1 and deliveries.id = rows.delivery_id and deliveries.lease_id = $2`,
    [project_id, leaseId, ...source.params],
  );
}

/** @returns null if it stays due when it was. */
function delayOf(outcome: FinishedDelivery["outcome"]): number | null {
  if (outcome.state === "retrying") return outcome.delayMs;
  return outcome.state === "released" && outcome.delayMs > 0 ? outcome.delayMs : null;
}

type ListedAttempt = AttemptRow & { delivery_id: string; is_manual: boolean };

const attemptColumns: Columns<ListedAttempt> = {
  delivery_id: "uuid",
  id: "uuid",
  number: "integer",
  started_at: "timestamptz",
  duration_ms: "integer",
  status: "integer",
  failure: "text",
  message: "text",
  excerpt: "text",
  is_manual: "boolean",
};

async function insertAttempts(
  tx: Database,
  projectId: string,
  attempts: readonly ListedAttempt[],
): Promise<void> {
  if (attempts.length === 0) return;
  const source = rowSource(attemptColumns, attempts, 2);
  await tx.query(
    `insert into attempts (project_id, ${columnList(attemptColumns)})
     select $1, ${columnList(attemptColumns)} from ${source.sql}`,
    [projectId, ...source.params],
  );
}

/** Ends expired leases, whose process has died; the deliveries are due as before. @returns how many. */
export async function releaseExpiredLeases(db: Database): Promise<number> {
  const rows = await db.query(
    `with expired as (
       select project_id, id from deliveries where state = 'leased' and lease_expires_at < now()
       for update skip locked
     )
     update deliveries set state = 'retrying', lease_id = null, lease_expires_at = null
     from expired where deliveries.project_id = expired.project_id and deliveries.id = expired.id returning 1`,
  );
  return rows.length;
}

/** Writes the delivery of a test, which this process posts at once. If it dies, a lane posts it after the lease. */
export async function insertLeasedDelivery(
  db: Database,
  endpoint: EndpointRef,
  event: WebhookEvent,
  delivery: { id: string; leaseId: string; leaseSeconds: number },
): Promise<void> {
  await db.query(
    `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, lease_id, lease_expires_at)
     values ($1, $2, $3, $4, $5, $6, 'leased', $7, now() + $8 * interval '1 second')`,
    [
      endpoint.project_id,
      delivery.id,
      endpoint.id,
      event.id,
      event.type,
      event.body(),
      delivery.leaseId,
      delivery.leaseSeconds,
    ],
  );
}

/** Records a manual attempt. A success ends the delivery; a failure does not change its schedule. */
export async function recordManualAttempt(
  tx: Database,
  delivery: { project_id: string; id: string },
  attempt: AttemptRow,
): Promise<void> {
  const params = [delivery.project_id, delivery.id];
  await tx.query(
    `update deliveries set attempts = attempts + 1, last_attempt_at = $3, last_status = $4, last_failure = $5
     where project_id = $1 and id = $2`,
    [...params, attempt.started_at, attempt.status, attempt.failure],
  );
  if (attempt.failure === null) {
    await tx.query(
      `update deliveries set state = 'succeeded', lease_id = null, lease_expires_at = null, finished_at = now()
       where project_id = $1 and id = $2 and state not in ('succeeded', 'cancelled')`,
      params,
    );
  }
  await insertAttempts(tx, delivery.project_id, [{ ...attempt, delivery_id: delivery.id, is_manual: true }]);
}
