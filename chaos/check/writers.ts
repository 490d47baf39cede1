import { z } from "zod";
import type { Database } from "../../src/storage/database.ts";
import type { Api } from "../load/api.ts";
import { erasablePrefix, type WrittenLedger } from "../load/writers.ts";
import type { Findings } from "./findings.ts";

/** Compares custom events, endpoints and erasures with what the API has answered. */
export async function checkWriters(
  db: Database,
  api: Api,
  ledger: WrittenLedger,
  findings: Findings,
): Promise<void> {
  for (const what of [...ledger.wrong, ...api.wrong]) findings.add("conduct", what);
  await checkTracked(db, ledger, findings);
  await checkOrders(db, findings);
  await checkEndpoints(api, ledger, findings);
  await checkErased(db, ledger, findings);
}

/** Events name the key that they were posted with. */
async function checkTracked(db: Database, { events }: WrittenLedger, findings: Findings): Promise<void> {
  const rows = await db.query<{ key: string; ids: string[] }>(
    `select detail -> 'properties' ->> 'key' as key, array_agg(id) as ids from events where type = 'custom' group by 1`,
  );
  const stored = new Map(rows.map(({ key, ids }) => [key, ids]));
  for (const { key, eventIds } of events) {
    const ids = stored.get(key) ?? [];
    stored.delete(key);
    if (eventIds.size > 0 && ids.length === 0) findings.add("lost", `custom event ${key} was answered 201`);
    if (ids.length > 1) findings.add("counted twice", `custom event ${key} is there ${ids.length} times`);
    for (const id of eventIds)
      if (!ids.includes(id))
        findings.add("differs", `custom event ${key} was answered with ${id}, which is not there`);
  }
  for (const key of stored.keys()) findings.add("differs", `custom event ${key}, which nobody has tracked`);
}

/** Of the events that confirm an order, one counts. */
async function checkOrders(db: Database, findings: Findings): Promise<void> {
  const rows = await db.query<{ order_id: string; counted: number }>(
    `select detail -> 'properties' ->> 'orderId' as order_id, (count(*) filter (where discarded is null))::integer as counted
     from events where type = 'custom' and name = 'confirmation' group by 1
     having count(*) filter (where discarded is null) <> 1`,
  );
  for (const { order_id, counted } of rows)
    findings.add(
      counted > 1 ? "counted twice" : "lost",
      `${order_id} is confirmed by ${counted} events that count`,
    );
}

const Endpoints = z.object({
  data: z.array(z.object({ id: z.string(), description: z.string().nullable() })),
  pagination: z.object({ next_cursor: z.string().nullable() }),
});

async function checkEndpoints(api: Api, { endpoints }: WrittenLedger, findings: Findings): Promise<void> {
  const listed = await listEndpoints(api);
  for (const { id, name, description, isRemoved } of endpoints) {
    const isListed = listed.has(id);
    if (isRemoved && isListed) findings.add("lost", `the removal of endpoint ${name}`);
    else if (!isRemoved && !isListed) findings.add("lost", `endpoint ${name}`);
    else if (isListed && listed.get(id) !== description)
      findings.add("lost", `the change of endpoint ${name}`);
  }
}

/** The descriptions of all endpoints, by id. */
async function listEndpoints(api: Api): Promise<Map<string, string | null>> {
  const listed = new Map<string, string | null>();
  let cursor: string | null = "";
  while (cursor !== null) {
    const path: string = `/v1/webhooks?per_page=100${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const answer = await api.until({ method: "GET", path });
    const page: z.infer<typeof Endpoints> = Endpoints.parse(answer?.body);
    for (const { id, description } of page.data) listed.set(id, description);
    cursor = page.pagination.next_cursor;
  }
  return listed;
}

/** An erased address is nowhere, in no column of any table. */
async function checkErased(db: Database, { erased }: WrittenLedger, findings: Findings): Promise<void> {
  for (const table of tablesWithPeople) {
    // One pass over each table: erased or not, these people have addresses that nobody else has.
    const rows = await db.query<{ text: string }>(
      `select ${table}::text as text from ${table} where position($1 in ${table}::text) > 0`,
      [erasablePrefix],
    );
    for (const address of erased) {
      const count = rows.filter(({ text }) => text.includes(address)).length;
      if (count > 0) findings.add("differs", `${count} rows of ${table} still name the erased ${address}`);
    }
  }
}

const tablesWithPeople = [
  "activity",
  "events",
  "recipients",
  "suppressions",
  "notifications",
  "deliveries",
  "attempts",
  "orders",
  "erasures",
  "idempotency_keys",
];
