import { groupBy } from "../../src/domain/maps.ts";
import type { Database } from "../../src/storage/database.ts";
import type { PastFault } from "../faults/injector.ts";
import type { Arrival } from "../load/sink.ts";
import type { AddedEndpoint } from "../load/writers.ts";
import type { Findings } from "./findings.ts";

/** @property repeated POSTs after one that was answered 2xx. */
export type WebhookFigures = { owed: number; arrived: number; repeated: number; explained: number };

/** What workers owed to endpoints, what arrived there, and why anything arrived more than once. */
export async function checkWebhooks(
  db: Database,
  sink: { arrivals: readonly Arrival[]; endpoints: readonly AddedEndpoint[]; faults: readonly PastFault[] },
  findings: Findings,
): Promise<WebhookFigures> {
  const arrivals = groupBy(sink.arrivals, ({ endpoint, id }) => `${endpoint} ${id}`);
  const figures: WebhookFigures = { owed: 0, arrived: 0, repeated: 0, explained: 0 };
  for (const endpoint of sink.endpoints.filter(({ isRemoved }) => !isRemoved)) {
    await checkOwed(db, endpoint, findings);
    const deliveries = await deliveriesTo(db, endpoint);
    figures.owed += deliveries.length;
    figures.arrived += checkArrived(endpoint, deliveries, arrivals, findings);
  }
  checkPosts(sink, arrivals, findings);
  for (const [key, posts] of arrivals) {
    for (const { acceptedAtMs, repeatedAtMs } of repeatsOf(posts)) {
      figures.repeated++;
      if (isDisturbed(acceptedAtMs, repeatedAtMs, sink.faults)) figures.explained++;
      else
        findings.add(
          "unexplained repeat",
          `${key}, accepted at ${isoTime(acceptedAtMs)}, again at ${isoTime(repeatedAtMs)}`,
        );
    }
  }
  return figures;
}

/** The events of storage, by the names that webhooks have. */
const webhookType = `case events.type when 'sent' then 'email.send' when 'delivered' then 'email.delivery'
  when 'bounced' then 'email.bounce' when 'complained' then 'email.complaint' when 'opened' then 'email.open'
  when 'clicked' then 'email.click' when 'custom' then 'event.tracked' end`;

/** Every event that counts is owed, and one that does not only if it has counted before. People who were erased get nothing. */
async function checkOwed(
  db: Database,
  { id, name, types, addedAtMs }: AddedEndpoint,
  findings: Findings,
): Promise<void> {
  const rows = await db.query<{ id: string; type: string; problem: string }>(
    `with told as (
       select events.id, ${webhookType} as type, events.discarded is null as counts,
         coalesce(events.detail ->> 'reclassified', '') = 'true' as has_counted,
         exists (select from deliveries where endpoint_id = $1 and event_id = events.id) as is_owed
       from events left join activity on activity.id = events.owner_id
       where events.created_at > $3 and coalesce(activity.recipient, '') not like '%@erased.invalid'
         and not exists (select from recipients where recipients.id = events.owner_id and address like '%@erased.invalid')
     )
     select id, type, case when is_owed then 'is owed without cause' else 'is not owed' end as problem
     from told where ($2 = '{*}'::text[] or type = any($2)) and is_owed <> (counts or has_counted)`,
    [id, types, new Date(addedAtMs)],
  );
  for (const row of rows) findings.add("webhook", `${row.type} ${row.id} ${row.problem} to ${name}`);
}

type DeliveryRow = { event_id: string; state: string; times: number };

async function deliveriesTo(db: Database, { id }: AddedEndpoint): Promise<DeliveryRow[]> {
  return db.query<DeliveryRow>(
    `select event_id, min(state) as state, count(*)::integer as times from deliveries
     where endpoint_id = $1 group by event_id`,
    [id],
  );
}

/** @returns how many arrived. */
function checkArrived(
  { name }: AddedEndpoint,
  deliveries: readonly DeliveryRow[],
  arrivals: ReadonlyMap<string, readonly Arrival[]>,
  findings: Findings,
): number {
  let arrived = 0;
  for (const { event_id, state, times } of deliveries) {
    const isThere = arrivals.get(`${name} ${event_id}`)?.some(isAccepted) === true;
    if (isThere) arrived++;
    if (times > 1) findings.add("counted twice", `${times} deliveries of ${event_id} to ${name}`);
    if (state === "succeeded" && !isThere)
      findings.add("lost", `webhook ${event_id} to ${name} is said to have arrived`);
    // Erasing a person cancels what waits.
    if (state !== "succeeded" && state !== "cancelled")
      findings.add("conduct", `webhook ${event_id} to ${name} is ${state} in the end`);
  }
  return arrived;
}

function checkPosts(
  { arrivals, endpoints }: { arrivals: readonly Arrival[]; endpoints: readonly AddedEndpoint[] },
  byWebhook: ReadonlyMap<string, readonly Arrival[]>,
  findings: Findings,
): void {
  const known = new Set(endpoints.map(({ name }) => name));
  for (const { endpoint, id, isSigned, lacksRecipient } of arrivals) {
    if (known.has(endpoint) && !isSigned)
      findings.add("webhook", `${id} to ${endpoint} is not signed rightly`);
    if (lacksRecipient) findings.add("webhook", `${id} to ${endpoint} names no recipient`);
  }
  for (const [key, posts] of byWebhook)
    if (new Set(posts.map(({ body }) => body)).size > 1)
      findings.add("webhook", `${key} has more than one body`);
}

function isAccepted({ status }: Arrival): boolean {
  return status !== null && status >= 200 && status < 300;
}

/**
 * An outcome is written this soon after the answer: posts that are made together are recorded together, when the slowest of
 * them has ended, which takes 15 seconds at most.
 */
const writtenWithinMs = 20_000;

type Repeat = { acceptedAtMs: number; repeatedAtMs: number };

/** POSTs after one that was answered 2xx. */
function repeatsOf(posts: readonly Arrival[]): Repeat[] {
  const repeats: Repeat[] = [];
  let accepted: Arrival | null = null;
  for (const post of posts) {
    if (accepted !== null) repeats.push({ acceptedAtMs: accepted.atMs, repeatedAtMs: post.atMs });
    if (isAccepted(post)) accepted = post;
  }
  return repeats;
}

/** Each repeat must have its cause: a fault that kept the first one's answer from the worker, or its outcome from the database. */
function isDisturbed(acceptedAtMs: number, repeatedAtMs: number, faults: readonly PastFault[]): boolean {
  const untilMs = Math.min(repeatedAtMs, acceptedAtMs + writtenWithinMs);
  return faults.some(
    ({ losesOutcomes, fromMs, toMs }) => losesOutcomes && fromMs <= untilMs && toMs >= acceptedAtMs,
  );
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
