import { type ErasedPerson, impersonalDetail } from "../domain/erasure.ts";
import { rowSource } from "../storage/columns.ts";
import type { Database } from "../storage/database.ts";

export type Erasure = ErasedPerson & {
  project_id: string;
  id: string;
  keep_suppression: boolean;
};

/** @property place the workers' progress. */
export type OpenErasure = Erasure & { created_at: Date; place: unknown };

/**
 * As SQL: the remaining part of an event's detail.
 * @param keys the placeholder of the keys to keep.
 */
export function impersonalPart(keys: string): string {
  return `(select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(detail) where key = any(${keys}::text[]))`;
}

/** What was erased. */
export type ErasedRows = {
  recipientId: string | null;
  activities: number;
  events: number;
  customEvents: number;
  isSuppressionRemoved: boolean;
};

/**
 * Erases a person from activities, events, recipients and suppressions; rows and their ids stay. Rows are locked in
 * the same order as by workers.
 */
export async function eraseRows(tx: Database, erasure: Erasure): Promise<ErasedRows> {
  const activities = await eraseActivities(tx, erasure);
  const recipient = await eraseRecipient(tx, erasure);
  const isSuppressionRemoved = erasure.keep_suppression ? false : await eraseSuppressions(tx, erasure, null);
  return { ...activities, ...recipient, isSuppressionRemoved };
}

/**
 * As `eraseRows`, for rows from a batch that was running meanwhile; data that is newer than the erasure stays. A
 * recipient that only such a batch created is deleted.
 */
export async function eraseLateRows(tx: Database, erasure: Erasure & { created_at: Date }): Promise<void> {
  const { project_id, address, keep_suppression, created_at } = erasure;
  await eraseActivities(tx, erasure, created_at);
  await tx.query(
    `delete from recipients
     where project_id = $1 and address = $2
       and not exists (select from activity where activity.project_id = $1 and activity.recipient = $2)
       and not exists (select from events where events.project_id = $1 and events.owner_id = recipients.id)`,
    [project_id, address],
  );
  if (keep_suppression) return;
  await eraseSuppressions(tx, erasure, created_at);
}

/**
 * Removes the address from the lists of the project and of its tenants.
 * @param until null: any time.
 * @returns whether it was listed.
 */
async function eraseSuppressions(
  tx: Database,
  { project_id, address }: Erasure,
  until: Date | null,
): Promise<boolean> {
  // Tenant lists first, by name: workers lock in this order too.
  const ofTenants = await tx.query(
    `with locked as (
       select project_id, address, tenant_name from tenant_suppressions
       where project_id = $1 and address = $2 order by tenant_name for update
     )
     delete from tenant_suppressions using locked
     where tenant_suppressions.project_id = locked.project_id and tenant_suppressions.address = locked.address
       and tenant_suppressions.tenant_name = locked.tenant_name and ($3::timestamptz is null or since <= $3)
     returning 1`,
    [project_id, address, until],
  );
  const ofProject = await tx.query(
    `delete from suppressions
     where project_id = $1 and address = $2 and ($3::timestamptz is null or since <= $3) returning 1`,
    [project_id, address, until],
  );
  return ofTenants.length + ofProject.length > 0;
}

/** @param sentUntil only emails that were sent by then; null: all. */
async function eraseActivities(
  tx: Database,
  { project_id, address, pseudonym }: Erasure,
  sentUntil: Date | null = null,
): Promise<Pick<ErasedRows, "activities" | "events">> {
  const locked = await tx.query<{ id: string }>(
    `select id from activity
     where project_id = $1 and recipient = $2 and ($3::timestamptz is null or sent_at is null or sent_at <= $3)
     order by project_id, id for update`,
    [project_id, address, sentUntil],
  );
  if (locked.length === 0) return { activities: 0, events: 0 };
  const ids = locked.map(({ id }) => id);
  const [events] = await tx.query<{ count: number }>(
    `with erased as (
       update events set detail = ${impersonalPart("$3")}
       where project_id = $1 and owner_id = any($2::uuid[]) returning id)
     select count(*)::integer as count from erased`,
    [project_id, ids, impersonalDetail],
  );
  await tx.query(
    `update activity set recipient = $3, recipient_as_sent = null, subject = null, tags = null, updated_at = now()
     where project_id = $1 and id = any($2::uuid[])`,
    [project_id, ids, pseudonym],
  );
  return { activities: ids.length, events: events?.count ?? 0 };
}

async function eraseRecipient(
  tx: Database,
  { project_id, address, pseudonym }: Erasure,
): Promise<Pick<ErasedRows, "recipientId" | "customEvents">> {
  const [recipient] = await tx.query<{ id: string }>(
    `update recipients set address = $3, attributes = '{}', attribute_times = '{}', updated_at = now()
     where project_id = $1 and address = $2 returning id`,
    [project_id, address, pseudonym],
  );
  if (!recipient) return { recipientId: null, customEvents: 0 };
  const [events] = await tx.query<{ count: number }>(
    `with erased as (
       update events set detail = detail || '{"properties": {}}'
       where project_id = $1 and owner_id = $2 and type = 'custom' returning id)
     select count(*)::integer as count from erased`,
    [project_id, recipient.id],
  );
  return { recipientId: recipient.id, customEvents: events?.count ?? 0 };
}

/** Stores the remaining work, and ends rebuilds, which have read the data to erase. */
export async function openErasure(tx: Database, erasure: Erasure): Promise<void> {
  const { project_id, id, address, pseudonym, keep_suppression } = erasure;
  await tx.query(
    `insert into erasures (project_id, id, address, pseudonym, keep_suppression) values ($1, $2, $3, $4, $5)`,
    [project_id, id, address, pseudonym, keep_suppression],
  );
  await tx.query(
    `update rebuilds set phase = 'finished', finished_at = now(), steps = steps + 1
     where phase <> 'finished' and (project_id is null or project_id = $1)`,
    [project_id],
  );
}

/** The oldest open erasure that no process is working on, for the duration of the transaction; or null. */
export async function takeErasure(tx: Database): Promise<OpenErasure | null> {
  const [taken] = await tx.query<OpenErasure>(
    `select project_id, id, address, pseudonym, keep_suppression, created_at, place from erasures
     where finished_at is null order by created_at limit 1 for update skip locked`,
  );
  return taken ?? null;
}

export async function recordErasurePlace(
  tx: Database,
  { project_id, id }: Erasure,
  place: object,
): Promise<void> {
  await tx.query("update erasures set place = $3 where project_id = $1 and id = $2", [
    project_id,
    id,
    JSON.stringify(place),
  ]);
}

/** Removes the address from the erasure itself. */
export async function finishErasure(tx: Database, { project_id, id }: Erasure): Promise<void> {
  await tx.query(
    "update erasures set address = null, place = null, finished_at = now() where project_id = $1 and id = $2",
    [project_id, id],
  );
}

export type DeliveryBody = { id: string; body: string };

/** Webhooks of a project in order of id, which contains their time. */
export async function walkDeliveries(
  db: Database,
  projectId: string,
  after: string | null,
  limit: number,
): Promise<DeliveryBody[]> {
  return db.query<DeliveryBody>(
    `select id, body from deliveries where project_id = $1 and ($2::uuid is null or id > $2) order by id limit $3`,
    [projectId, after, limit],
  );
}

/** Waiting webhooks that contain a text, in any case. */
export async function waitingDeliveries(
  db: Database,
  projectId: string,
  lowerCased: string,
): Promise<DeliveryBody[]> {
  return db.query<DeliveryBody>(
    `select id, body from deliveries
     where project_id = $1 and state in ('pending', 'retrying', 'held') and strpos(lower(body), $2) > 0`,
    [projectId, lowerCased],
  );
}

/**
 * Replaces webhook bodies, cancels webhooks that are not delivered, and blanks the answers to them.
 * @returns the number of cancelled webhooks.
 */
export async function replaceDeliveries(
  tx: Database,
  projectId: string,
  rows: readonly DeliveryBody[],
): Promise<number> {
  if (rows.length === 0) return 0;
  const source = rowSource({ id: "uuid", body: "text" }, rows, 2);
  const isOpen = "deliveries.state in ('pending', 'retrying', 'leased', 'held')";
  const replaced = await tx.query<{ is_cancelled: boolean }>(
    `with locked as (
       select deliveries.id, rows.body from deliveries join ${source.sql} using (id)
       where deliveries.project_id = $1 order by id for update of deliveries
     )
     update deliveries set body = locked.body, state = case when ${isOpen} then 'cancelled' else state end,
       lease_id = null, lease_expires_at = null,
       finished_at = case when ${isOpen} then now() else finished_at end
     from locked where deliveries.project_id = $1 and deliveries.id = locked.id
     returning state = 'cancelled' and finished_at = now() as is_cancelled`,
    [projectId, ...source.params],
  );
  await tx.query(
    "update attempts set excerpt = null where project_id = $1 and delivery_id = any($2::uuid[])",
    [projectId, rows.map(({ id }) => id)],
  );
  return replaced.filter(({ is_cancelled }) => is_cancelled).length;
}
