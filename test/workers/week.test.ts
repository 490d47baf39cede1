import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Context } from "../../src/context.ts";
import type { Database } from "../../src/storage/database.ts";
import { storeBatch } from "../../src/storage/journal.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { type Random, seededRandom, type WeekNotification } from "../support/ses-occurrence.ts";
import { sesWeek, weekSize } from "../support/ses-week.ts";

/*
 * The promise that everything else rests on: whatever the order of arrival, however often, and however many workers,
 * the same events make the same emails.
 */

/**
 * What tells of arrival, and differs when the order of arrival does: when a row was written, and that an event counted
 * until another one arrived. All else is compared.
 */
const ofArrival = { columns: ["created_at", "updated_at"], detailKey: ["detail", "reclassified"] };

const workerCount = 4;
const timeoutMs = 300_000;
const week = sesWeek(20_261_127);

let inOrder: TestDatabase;
let shuffled: TestDatabase;

beforeAll(async () => {
  inOrder = await testDatabase();
  shuffled = await testDatabase();
  await applyInOrder(inOrder, week);

  await applyShuffled(shuffled, disturbed(week, seededRandom(7)));
}, timeoutMs);
afterAll(async () => {
  await inOrder.drop();
  await shuffled.drop();
});

async function applyInOrder({ url }: TestDatabase, notifications: WeekNotification[]): Promise<void> {
  const service = await startTestService({ databaseUrl: url, roles: { receiver: false, workers: false } });
  const { context } = service;
  const batchIds: string[] = [];
  for (const batch of batchesOf(notifications, () => 256)) batchIds.push(await store(context, batch));
  for (const batchId of batchIds) await applyBatch(context, { batchId });
  await service.close();
}

/** Four processes as `fanmail worker` runs them, woken through the queue while the batches are still coming. */
async function applyShuffled({ url, db }: TestDatabase, notifications: WeekNotification[]): Promise<void> {
  const roles = { receiver: false, workers: true };
  const services: TestService[] = [];
  for (let worker = 0; worker < workerCount; worker++)
    services.push(await startTestService({ databaseUrl: url, roles }));
  const random = seededRandom(11);
  const batches = batchesOf(notifications, () => 1 + random.below(400));
  await Promise.all(
    services.map(async ({ context }, worker) => {
      for (const batch of batches.filter((_, place) => place % workerCount === worker)) {
        const batchId = await store(context, batch);
        await context.queues.wakeApply([{ batchId }]);
      }
    }),
  );
  // The test's own time-out is the limit.
  while ((await db.query("select 1 from batches where applied_at is null limit 1")).length > 0)
    await sleep(50);
  await Promise.all(services.map((service) => service.close()));
}

async function store(context: Context, batch: readonly WeekNotification[]): Promise<string> {
  const batchId = context.clock.newId();
  await storeBatch(context.db, context.partitions, batchId, batch);
  return batchId;
}

/** Shuffled, and a fifth of it twice: half as the same SNS message, half under a MessageId of its own. */
function disturbed(notifications: readonly WeekNotification[], random: Random): WeekNotification[] {
  const again = shuffle(notifications, random).slice(0, notifications.length / 5);
  const repeated = again.map((one, place) =>
    place % 2 === 0
      ? one
      : {
          ...one,
          sns_message_id: random.uuid(),
          sns_timestamp: new Date(one.sns_timestamp.getTime() + random.below(3_600_000)),
        },
  );
  return shuffle([...notifications, ...repeated], random);
}

/** Fisher and Yates. */
function shuffle<Item>(items: readonly Item[], random: Random): Item[] {
  const list = [...items];
  for (let last = list.length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [list[last], list[other]] = [list[other] as Item, list[last] as Item];
  }
  return list;
}

function batchesOf(notifications: readonly WeekNotification[], nextSize: () => number): WeekNotification[][] {
  const batches: WeekNotification[][] = [];
  for (let from = 0; from < notifications.length; ) {
    const size = nextSize();
    batches.push(notifications.slice(from, from + size));
    from += size;
  }
  return batches;
}

/** Rows as text, with their keys in Postgres's order, by primary key. */
async function rowsOf(db: Database, table: keyof typeof keys): Promise<Map<string, string>> {
  const rows = await db.query<{ key: string; text: string }>(
    `select (${keys[table]})::text as key, (to_jsonb(row) - $1::text[] #- $2::text[])::text as text
     from ${table} as row`,
    [ofArrival.columns, ofArrival.detailKey],
  );
  return new Map(rows.map(({ key, text }) => [key, text]));
}

const keys = {
  activity: "row.project_id, row.id",
  events: "row.project_id, row.owner_id, row.occurred_at, row.id",
  suppressions: "row.project_id, row.address",
};

async function countBy(db: Database, sql: string): Promise<Record<string, number>> {
  const rows = await db.query<{ name: string; count: number }>(
    `select name, count(*)::int as count from (${sql}) as names(name) group by name`,
  );
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

test("the week is of 20,000 notifications about 3,000 emails", () => {
  expect(week).toHaveLength(weekSize.notifications);
  expect(new Set(week.map(({ sns_message_id }) => sns_message_id)).size).toBe(20_000);
  expect(new Set(toldEvents().map((name) => name.split(" ")[1])).size).toBe(3_000);
  expect(sesWeek(20_261_127).map(({ tells }) => tells)).toEqual(week.map(({ tells }) => tells));
});

test.each(["activity", "events", "suppressions"] as const)(
  "shuffled, repeated and applied by four workers the table %s is the same, row by row",
  async (table) => {
    const [expected, actual] = [await rowsOf(inOrder.db, table), await rowsOf(shuffled.db, table)];
    const differing = [...new Set([...expected.keys(), ...actual.keys()])]
      .filter((key) => expected.get(key) !== actual.get(key))
      .map((key) => ({ inOrder: expected.get(key), shuffled: actual.get(key) }));

    // A few say as much as all.
    expect({ count: differing.length, some: differing.slice(0, 3) }).toEqual({ count: 0, some: [] });
    expect(actual.size).toBe(expected.size);
  },
);

/** The name of each event, once. */
function toldEvents(): string[] {
  return [...new Set(week.flatMap(({ tells }) => tells))];
}

describe.each([
  ["in order", () => inOrder.db],
  ["shuffled", () => shuffled.db],
])("%s", (_, database) => {
  test("every event that was told is there once", async () => {
    const told: Record<string, number> = {};
    for (const name of toldEvents()) {
      const [type = "", messageId, recipient] = name.split(" ");
      const key = `${type} ${messageId} ${recipient}`;
      told[key] = (told[key] ?? 0) + 1;
    }
    const stored = await countBy(
      database(),
      `select type || ' ' || message_id || ' ' || recipient from events
       join activity on activity.project_id = events.project_id and activity.id = owner_id`,
    );
    expect(Object.entries(stored).toSorted()).toEqual(Object.entries(told).toSorted());
  });

  test("nothing is quarantined, and no batch has failed", async () => {
    const batches = await database().query(
      `select sum(quarantined_count)::int as quarantined, sum(ignored_count)::int as ignored,
         count(*) filter (where last_error is not null)::int as failed,
         count(*) filter (where applied_at is null)::int as waiting from batches`,
    );
    expect(batches).toEqual([{ quarantined: 0, ignored: 0, failed: 0, waiting: 0 }]);
  });

  test("opens that count lie at least 20 minutes apart, and are as many as their email says", async () => {
    const tooClose = await database().query(
      `select * from (
         select owner_id, occurred_at - lag(occurred_at) over (partition by owner_id order by occurred_at) as since
         from events where type = 'opened' and discarded is null) as counted
       where since < interval '20 minutes'`,
    );
    expect(tooClose).toEqual([]);
    const miscounted = await database().query(
      `with counted as (
         select project_id, owner_id as id, count(*) filter (where type = 'opened') as opens,
           count(*) filter (where type = 'clicked') as clicks
         from events where discarded is null group by 1, 2)
       select id from activity left join counted using (project_id, id)
       where (open_count, click_count) <> (coalesce(opens, 0), coalesce(clicks, 0))`,
    );
    expect(miscounted).toEqual([]);
  });

  test("the week holds a good number of everything", async () => {
    const db = database();
    const statuses = await countBy(db, "select current_status from activity");
    // `suppressed` is left out: no event of SES makes it.
    for (const status of ["sent", "delayed", "bounced_soft", "delivered", "failed", "bounced_hard"])
      expect.soft(statuses[status], status).toBeGreaterThan(10);
    expect.soft(statuses["complained"]).toBeGreaterThan(50);

    const discards = await countBy(
      db,
      "select discarded || coalesce(' ' || (detail->>'machine'), '') from events",
    );
    for (const reason of ["open_window", "machine prefetch", "machine agent", "machine delivery"])
      expect.soft(discards[reason], reason).toBeGreaterThan(200);

    const suppressions = await countBy(db, "select reason from suppressions");
    expect.soft(suppressions["bounce"]).toBeGreaterThan(100);
    expect.soft(suppressions["complaint"]).toBeGreaterThan(30);

    const kinds = await countBy(
      db,
      `select 'test' from activity where is_test union all
       select 'uncertain' from activity where not recipient_certain union all
       select 'automatic reply' from events where detail ? 'auto_reply'`,
    );
    for (const kind of ["test", "uncertain", "automatic reply"])
      expect.soft(kinds[kind], kind).toBeGreaterThan(50);
  });
});

test("in the shuffled week events were decided anew, and many were repeated", async () => {
  const reclassified = await shuffled.db.query("select 1 from events where detail ? 'reclassified'");
  expect(reclassified.length).toBeGreaterThan(100);
  const counts = await shuffled.db.query(
    `select count(*)::int as notifications, (select sum(repeated_count)::int from batches) > 2000 as has_repeats
     from notifications`,
  );
  expect(counts).toEqual([{ notifications: 22_000, has_repeats: true }]);
});
