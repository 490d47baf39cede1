import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type AcceptedNotification, quarantine, storeBatch } from "../../src/storage/journal.ts";
import { type Partitions, partitionsOf } from "../../src/storage/partitions.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { notification } from "../support/notification.ts";

let database: TestDatabase;
let partitions: Partitions;

beforeAll(async () => {
  database = await testDatabase();
  partitions = partitionsOf(database.db);
});
afterAll(() => database?.drop());
beforeEach(async () => {
  await database.db.query("truncate notifications, batches");
});

const store = (batch: AcceptedNotification[], batchId: string = randomUUID()) =>
  storeBatch(database.db, partitions, batchId, batch);

/** The batches that are kept: id → number of notifications it says it has, and has. */
async function batches(): Promise<Record<string, [number, number]>> {
  const rows = await database.db.query<{ id: string; said: number; has: number }>(
    `select id, notification_count as said,
       (select count(*)::integer from notifications where batch_id = batches.id) as has from batches`,
  );
  return Object.fromEntries(rows.map(({ id, said, has }) => [id, [said, has]]));
}

describe("storeBatch", () => {
  test("stores what is new, whole, under the batch", async () => {
    const batchId = randomUUID();
    const one = notification({ body: '{"Message":"quote \\" comma, \\u001e 😀"}' });
    const other = notification({ sns_timestamp: new Date("2026-11-24T00:00:00.000Z"), body: "{}" });

    expect(await store([one, other], batchId)).toEqual([true, true]);

    const rows = await database.db.query(
      `select project_id, topic_id, sns_message_id, sns_timestamp, body, batch_id, quarantine_reason
       from notifications order by sns_timestamp`,
    );
    expect(rows).toEqual([
      { ...one, batch_id: batchId, quarantine_reason: null },
      { ...other, batch_id: batchId, quarantine_reason: null },
    ]);
    expect(await batches()).toEqual({ [batchId]: [2, 2] });
  });

  test("skips a message that is in the journal, and makes no batch when all are", async () => {
    const first = randomUUID();
    const message = notification();
    await store([message], first);

    expect(await store([message, message])).toEqual([false, false]);
    expect(await batches()).toEqual({ [first]: [1, 1] });
  });

  test("the same messages in opposite order at the same time do not lock one another out", async () => {
    for (let round = 0; round < 20; round++) {
      const messages = Array.from({ length: 200 }, () => notification());
      const answers = await Promise.all([
        store(messages),
        store(messages.toReversed()),
        store(messages),
        store(messages.toReversed()),
      ]);
      expect(answers.flat().filter(Boolean)).toHaveLength(200);
    }
  });

  test("says of each message of a mixed batch whether it was new", async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    const [known, alsoKnown] = [notification(), notification()];
    await store([known, alsoKnown], first);

    const isNew = await store([notification(), known, notification(), alsoKnown], second);

    expect(isNew).toEqual([true, false, true, false]);
    expect(await batches()).toEqual({ [first]: [2, 2], [second]: [2, 2] });
  });

  test("stores a message that is in one batch twice once; it was new the first time", async () => {
    const message = notification();

    expect(await store([message, notification(), { ...message }])).toEqual([true, true, false]);
    expect(Object.values(await batches())).toEqual([[2, 2]]);
  });

  test("knows a MessageId in upper case for the same", async () => {
    const message = notification();
    const shouted = { ...message, sns_message_id: message.sns_message_id.toUpperCase() };

    expect(await store([shouted])).toEqual([true]);
    expect(await store([message])).toEqual([false]);
    expect(await store([{ ...notification(), sns_message_id: randomUUID().toUpperCase() }])).toEqual([true]);
  });

  test("takes the same MessageId of another topic for another message", async () => {
    const message = notification();
    const elsewhere = { ...message, topic_id: randomUUID() };

    expect(await store([message, elsewhere])).toEqual([true, true]);
    expect(await store([elsewhere])).toEqual([false]);
  });

  test("stores a message once that several processes store at once", async () => {
    const messages = Array.from({ length: 20 }, () => notification());

    const results = await Promise.all([
      storeBatch(database.db, partitionsOf(database.db), randomUUID(), messages),
      storeBatch(database.db, partitionsOf(database.db), randomUUID(), messages),
      storeBatch(database.db, partitionsOf(database.db), randomUUID(), messages),
    ]);

    const timesNew = messages.map((_, index) => results.filter((isNew) => isNew[index]).length);
    expect(timesNew).toEqual(messages.map(() => 1));
    const said = Object.values(await batches());
    expect(said.reduce((sum, [count]) => sum + count, 0)).toBe(20);
    expect(said.every(([count, has]) => count === has)).toBe(true);
  });

  test("rejects when it cannot store, and keeps nothing of the batch", async () => {
    await expect(store([notification(), notification({ sns_message_id: "no uuid" })])).rejects.toThrow(
      /uuid/,
    );
    expect(await database.db.query("select 1 from notifications")).toEqual([]);
    expect(await batches()).toEqual({});
  });
});

test("quarantine marks one notification and keeps it", async () => {
  const [bad, good] = [notification(), notification()];
  await store([bad, good]);

  await quarantine(database.db, [{ ...bad, quarantine_reason: "It is strange" }]);

  const rows = await database.db.query<{ sns_message_id: string; quarantine_reason: string | null }>(
    "select sns_message_id, quarantine_reason from notifications",
  );
  expect(new Map(rows.map((row) => [row.sns_message_id, row.quarantine_reason]))).toEqual(
    new Map([
      [bad.sns_message_id, "It is strange"],
      [good.sns_message_id, null],
    ]),
  );
});
