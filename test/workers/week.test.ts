import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { type Context, openContext } from "../../src/context.ts";
import { type AcceptedNotification, storeBatch } from "../../src/storage/journal.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { startWorkers } from "../../workers/main.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { notification } from "../support/notification.ts";
import { asMessage } from "../support/ses.ts";
import { chance, sesWeek, weekSize } from "../support/ses-week.ts";
import { until } from "../support/wait.ts";

/*
 * The same week twice: in order, by one worker; and shuffled, with a fifth told again, by four at once.
 */

const week = sesWeek(20261102).map(({ payload, publishedMs }) =>
  notification({
    body: JSON.stringify({ Message: asMessage(payload) }),
    sns_timestamp: new Date(publishedMs),
  }),
);
const random = chance(7);
let ordered: TestDatabase;
let shuffled: TestDatabase;

beforeAll(async () => {
  ordered = await testDatabase();
  shuffled = await testDatabase();
  await applyInOrder();
  await applyShuffled();
}, 300_000);
afterAll(async () => {
  await ordered?.drop();
  await shuffled?.drop();
});

function openOn({ url }: TestDatabase): Promise<Context> {
  const ENCRYPTION_KEY = randomBytes(32).toString("base64");
  return openContext(readConfig({ DATABASE_URL: url, ENCRYPTION_KEY, LOG_LEVEL: "silent" }));
}

async function applyInOrder(): Promise<void> {
  const context = await openOn(ordered);
  for (let from = 0; from < week.length; from += 256) {
    const batchId = context.clock.newId();
    await storeBatch(context.db, context.partitions, batchId, week.slice(from, from + 256));
    await applyBatch(context, { batchId });
  }
  await context.close();
}

async function applyShuffled(): Promise<void> {
  const contexts = await Promise.all([1, 2, 3, 4].map(() => openOn(shuffled)));
  const workers = contexts.map((context) => startWorkers(context));
  const arriving = shuffle([...week, ...week.filter(() => random() < 0.2).map(again)]);
  while (arriving.length > 0) {
    const batchId = randomUUID();
    const [context] = contexts as [Context];
    const batch = arriving.splice(0, 1 + Math.floor(random() * 400));
    await storeBatch(context.db, context.partitions, batchId, batch);
    await context.queues.wakeApply([{ batchId }]);
  }
  await until(
    "all batches are applied",
    async () =>
      (await shuffled.db.query("select 1 from batches where applied_at is null limit 1")).length === 0,
    240,
  );
  for (const worker of workers) await worker.close();
  for (const context of contexts) await context.close();
}

/** Half as the very same SNS message, half published anew. */
function again(one: AcceptedNotification): AcceptedNotification {
  return random() < 0.5 ? one : { ...one, sns_message_id: randomUUID() };
}

function shuffle<Item>(items: Item[]): Item[] {
  for (let place = items.length - 1; place > 0; place--) {
    const other = Math.floor(random() * (place + 1));
    [items[place], items[other]] = [items[other] as Item, items[place] as Item];
  }
  return items;
}

/** Without what tells of arrival: when a row was made and changed, and whether a decision was changed. */
const compared = {
  activity: "select to_jsonb(activity) - 'created_at' - 'updated_at' as row from activity order by id",
  events: `select to_jsonb(events) - 'created_at' - 'detail' as row, detail - 'reclassified' as detail
    from events order by owner_id, occurred_at, id`,
  suppressions: "select to_jsonb(suppressions) - 'created_at' as row from suppressions order by address",
};

test.each(Object.entries(compared))("the table %s is the same, row by row", async (_table, sql) => {
  const [one, other] = await Promise.all([ordered.db.query(sql), shuffled.db.query(sql)]);

  expect(one.length).toBeGreaterThan(100);
  expect(other).toEqual(one);
});

test("the week is a real one: every status, every reason, and decisions that were changed", async () => {
  const column = async (sql: string) =>
    (await shuffled.db.query<{ value: string }>(sql)).map(({ value }) => value);

  expect(week).toHaveLength(weekSize);
  expect(await column("select distinct current_status as value from activity order by 1")).toEqual([
    ...["bounced_hard", "complained", "delayed", "delivered", "failed", "sent"],
  ]);
  expect(
    await column("select distinct coalesce(detail ->> 'machine', discarded) as value from events order by 1"),
  ).toEqual(["apple_prefetch", "just_delivered", "known_bot", "open_window", null]);
  expect(await column("select distinct reason as value from suppressions order by 1")).toEqual([
    "bounce",
    "complaint",
  ]);
  const [marked] = await shuffled.db.query<{ count: number }>(
    "select count(*)::integer as count from events where detail ? 'reclassified'",
  );
  expect(marked?.count).toBeGreaterThan(100);
});

test("counted opens of an email are at least 20 minutes apart", async () => {
  const tooClose = await shuffled.db.query(
    `select * from (
       select occurred_at - lag(occurred_at) over (partition by owner_id order by occurred_at) as gap
       from events where type = 'opened' and discarded is null) as opens where gap < interval '20 minutes'`,
  );

  expect(tooClose).toEqual([]);
});

test("nothing was quarantined, failed or is waiting", async () => {
  for (const { db } of [ordered, shuffled]) {
    expect(await db.query("select 1 from notifications where quarantine_reason is not null")).toEqual([]);
    expect(
      await db.query("select last_error from batches where last_error is not null or applied_at is null"),
    ).toEqual([]);
  }
});
