import { firstIdAt } from "../../domain/computed-id.ts";
import type { Cursor } from "../../domain/cursor.ts";
import { erasedWebhookEnd } from "../../domain/erasure.ts";
import type { EventDetail } from "../../domain/mail/event-detail.ts";
import { type EmailEventType, typesOfWebhookNames } from "../../domain/mail/event-names.ts";
import { activityFields, type WebhookActivity } from "../../domain/webhooks/event.ts";
import { isSubscribed } from "../../domain/webhooks/owed.ts";
import { type Conditions, conditions } from "../conditions.ts";
import type { Database } from "../database.ts";
import { addCursor, addPeriod, exactTimeSql } from "../pages.ts";
import { factSql, withTags } from "../stored-facts.ts";
import { countRowsInTime, type Total } from "../totals.ts";
import type { Endpoint } from "./endpoints.ts";
import type { RedeliveryRequest, RedeliveryScope } from "./redeliveries.ts";

/** A redelivery and its endpoint. */
export type EndpointRedelivery = { endpoint: Endpoint; request: RedeliveryRequest };

/** Written so that the planner uses the index of undelivered deliveries. */
const isOfScope: Readonly<Record<RedeliveryScope, string>> = {
  failed: "state = 'exhausted'",
  undelivered: "state in ('exhausted', 'held')",
  all: "state in ('exhausted', 'held', 'succeeded')",
};

/** How many deliveries a redelivery would make now. */
export async function countToRedeliver(db: Database, redelivery: EndpointRedelivery): Promise<Total> {
  const existing = matchingDeliveries(redelivery);
  const deliveries = await countRowsInTime(db, `from deliveries where ${existing.where()}`, existing.params);
  const missed = missedEvents(redelivery);
  if (missed === null) return deliveries;
  const events = await countRowsInTime(db, `from events where ${missed.where()}`, missed.params);
  return {
    total: deliveries.total + events.total,
    isEstimate: deliveries.isEstimate || events.isEstimate,
  };
}

/**
 * Makes the next deliveries due again, with a new schedule. In an ordered lane they keep their place.
 * @param after the last id of the previous step; null at the start.
 * @returns their ids in order; fewer than `limit`: they were the last.
 */
export async function requeueDeliveries(
  tx: Database,
  redelivery: EndpointRedelivery,
  after: string | null,
  limit: number,
): Promise<string[]> {
  const { add, where, params } = matchingDeliveries(redelivery);
  add("id > ?", after ?? undefined);
  const rows = await tx.query<{ id: string }>(
    `with again as (
       select id from deliveries where ${where()} order by id limit ${Math.trunc(limit)} for update
     )
     update deliveries set state = 'pending', schedule_step = 0, finished_at = null
       ${redelivery.endpoint.ordered ? "" : ", due_at = now()"}
     from again where deliveries.project_id = $1 and deliveries.id = again.id
     returning deliveries.id`,
    params,
  );
  return rows.map(({ id }) => id).toSorted();
}

function matchingDeliveries({ endpoint, request }: EndpointRedelivery): Conditions {
  const matched = conditions();
  const { add } = matched;
  add("project_id = ?", endpoint.project_id);
  add("endpoint_id = ?", endpoint.id);
  // The id of a delivery contains the time of its event.
  add("id >= ?::uuid", firstIdAt(request.since.getTime()));
  add("id < ?::uuid", firstIdAt(request.until.getTime() + 1));
  add(isOfScope[request.scope]);
  add("event_type <> 'webhook.test'");
  add("right(body, length(?)) <> ?", erasedWebhookEnd, erasedWebhookEnd);
  add("event_type = any(?::text[])", request.event_types ?? undefined);
  return matched;
}

/** An event that an endpoint has no delivery of, with what its payload needs. */
export type MissedEvent = {
  id: string;
  occurred_at: Date;
  occurred_at_exact: string;
  recorded_at: Date;
  detail: EventDetail;
} & (
  | { type: EmailEventType; activity: WebhookActivity }
  | {
      type: "custom";
      name: string;
      properties: Record<string, unknown>;
      recipient_id: string;
      address: string;
    }
);

type MissedRow = Omit<Extract<MissedEvent, { type: "custom" }>, "type"> &
  Omit<WebhookActivity, "id"> & { type: EmailEventType | "custom"; activity_id: string };

/** Where each field of a row comes from; those of its activity have the names of their columns. */
const missedColumns: Readonly<Record<Exclude<keyof MissedRow, (typeof activityFields)[number]>, string>> = {
  id: "events.id",
  type: "events.type",
  name: "events.name",
  occurred_at: "events.occurred_at",
  occurred_at_exact: exactTimeSql("events.occurred_at"),
  recorded_at: "events.created_at",
  detail: "events.detail",
  properties: "events.detail -> 'properties'",
  project_id: "events.project_id",
  activity_id: "events.owner_id",
  recipient_id: "recipients.id",
  address: "recipients.address",
};
const missedSelection = [
  ...Object.entries(missedColumns).map(([name, source]) => `${source} as ${name}`),
  ...activityFields.map(factSql),
].join(", ");

/** Events that a step looks through: those to deliver may be few. */
const eventsPerStep = 10_000;

/** @property place where the next step continues; null: these are the last events. */
export type MissedEvents = { events: MissedEvent[]; place: Cursor | null };

/**
 * The next events from before the endpoint existed, in order of time.
 * @param after the place of the previous step; null at the start.
 */
export async function nextMissedEvents(
  tx: Database,
  redelivery: EndpointRedelivery,
  after: Cursor | null,
  limit: number,
): Promise<MissedEvents> {
  const matched = missedEvents(redelivery);
  if (matched === null) return { events: [], place: null };
  const end = await endOfLook(tx, redelivery, after);
  addCursor(matched, "events.occurred_at, events.id", after, ">");
  addCursor(matched, "events.occurred_at, events.id", end, "<=");
  const rows = withTags<MissedRow>(
    await tx.query(
      `select ${missedSelection} from events
       left join activity on events.type <> 'custom'
         and activity.project_id = events.project_id and activity.id = events.owner_id
       left join recipients on events.type = 'custom'
         and recipients.project_id = events.project_id and recipients.id = events.owner_id
       where ${matched.where()} order by events.occurred_at, events.id limit ${Math.trunc(limit)}`,
      matched.params,
    ),
  );
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    events: rows.map(asMissedEvent),
    place: last ? { time: last.occurred_at_exact, id: last.id } : end,
  };
}

/** The place of the last event to look at. @returns null if fewer are left. */
async function endOfLook(
  tx: Database,
  { endpoint, request }: EndpointRedelivery,
  after: Cursor | null,
): Promise<Cursor | null> {
  const { add, where, params } = conditions();
  addReach({ add }, { endpoint, request });
  addCursor({ add }, "events.occurred_at, events.id", after, ">");
  const [end] = await tx.query<Cursor>(
    `select ${exactTimeSql("events.occurred_at")} as time, events.id from events where ${where()}
     order by events.occurred_at, events.id limit 1 offset ${eventsPerStep - 1}`,
    params,
  );
  return end ?? null;
}

function asMissedEvent(row: MissedRow): MissedEvent {
  const { type, activity_id, ...rest } = row;
  return type === "custom" ? { ...rest, type } : { ...rest, type, activity: { ...row, id: activity_id } };
}

/** A batch that was being applied when an endpoint was added may not have seen it. */
const unseenFor = "interval '1 minute'";

/** @returns null if no event can match. */
function missedEvents({ endpoint, request }: EndpointRedelivery): Conditions | null {
  if (request.scope === "failed") return null;
  const wanted = request.event_types ?? endpoint.event_types;
  const types: string[] = isSubscribed(wanted, "event.tracked") ? ["custom"] : [];
  types.push(...typesOfWebhookNames(wanted));
  if (types.length === 0) return null;
  const matched = conditions();
  const { add } = matched;
  addReach(matched, { endpoint, request });
  add("events.type = any(?::text[])", types);
  add("events.discarded is null");
  add(`events.created_at < ?::timestamptz + ${unseenFor}`, endpoint.created_at);
  // A scalar subquery: with a join, the planner may compare every event with every delivery.
  add(
    `(select id from deliveries where project_id = events.project_id and id = ${owedDeliveryIdSql("?", "events.id")})
       is null`,
    endpoint.id,
  );
  return matched;
}

/** As SQL: the id of a delivery, as `owedDeliveryId` computes it. A test holds the two equal. */
export function owedDeliveryIdSql(endpointId: string, eventId: string): string {
  const key = `'["' || ${endpointId}::text || '","' || ${eventId}::text || '"]'`;
  return `(select (left(${eventId}::text, 13) || '-8' || substr(hash, 1, 3) || '-'
      || translate(substr(hash, 4, 1), '0123456789abcdef', '89ab89ab89ab89ab') || substr(hash, 5, 3) || '-'
      || substr(hash, 8, 12))::uuid
    from (select encode(sha256(convert_to(${key}, 'UTF8')), 'hex') as hash) as hashed)`;
}

/** An event may be a day in the future when it is recorded. */
function addReach({ add }: Pick<Conditions, "add">, { endpoint, request }: EndpointRedelivery): void {
  add("events.project_id = ?", endpoint.project_id);
  addPeriod({ add }, "events.occurred_at", request);
  add(`events.occurred_at < ?::timestamptz + interval '1 day' + ${unseenFor}`, endpoint.created_at);
}

/** Whether so many deliveries of an endpoint are due that more would only wait behind them. */
export async function hasBacklog(db: Database, endpoint: Endpoint, enough: number): Promise<boolean> {
  const [row] = await db.query<{ count: number }>(
    `select count(*)::integer as count from (
       select from deliveries
       where project_id = $1 and endpoint_id = $2 and state in ('pending', 'retrying') and due_at <= now()
       limit $3) as waiting`,
    [endpoint.project_id, endpoint.id, enough],
  );
  return (row?.count ?? 0) >= enough;
}
