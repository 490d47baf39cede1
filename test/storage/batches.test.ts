import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/storage/database.ts";
import {
  type AcceptedNotification,
  loadBatches,
  markApplied,
  storeBatch,
  takeBatch,
  takeMoreBatches,
} from "../../src/storage/journal.ts";
import { type Partitions, partitionsOf } from "../../src/storage/partitions.ts";
import {
  isAnotherAwaited,
  nextWaiting,
  postponeBatch,
  takeBatchesToWake,
  wakeSoon,
} from "../../src/storage/waiting-batches.ts";
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

describe("a batch", () => {
  test("is loaded with its own notifications, in order of their MessageId", async () => {
    const batchId = randomUUID();
    const messages = [1, 2, 3].map((day) =>
      notification({ sns_timestamp: new Date(Date.UTC(2026, 10, 20 + day, 23, 59, 59, 999)) }),
    );
    await store([notification()]);
    await store(messages, batchId);

    const loaded = await database.db.transaction(async (tx) => {
      const batch = await takeBatch(tx, batchId);
      expect(batch).toEqual({
        id: batchId,
        notification_count: 3,
        first_timestamp: messages[0]?.sns_timestamp,
        last_timestamp: messages[2]?.sns_timestamp,
      });
      return loadBatches(tx, [batch!]);
    });

    expect(loaded).toEqual(messages.toSorted((a, b) => (a.sns_message_id < b.sns_message_id ? -1 : 1)));
  });

  test("that a worker has taken is not given to another, until that one lets go", async () => {
    const batchId = randomUUID();
    await store([notification()], batchId);
    const take = () => database.db.transaction((tx) => takeBatch(tx, batchId));

    await database.db.transaction(async (tx) => {
      expect(await takeBatch(tx, batchId)).toMatchObject({ id: batchId });
      expect(await take()).toBeNull();
    });

    expect(await take()).toMatchObject({ id: batchId });
  });

  test("brings others along, the longest waiting first, up to a number, but none that failed or is taken", async () => {
    const ids = Array.from({ length: 6 }, () => randomUUID());
    const [own, first, taken, failed, second] = ids as [string, string, string, string, string];
    for (const id of ids) await store([notification(), notification()], id);
    for (const [place, id] of ids.entries()) {
      await database.db.query("update batches set wake_at = now() + $2 * interval '1 second' where id = $1", [
        id,
        place,
      ]);
    }
    await database.db.query("update batches set attempts = 1 where id = $1", [failed]);

    const along = await database.db.transaction(async (other) => {
      await takeBatch(other, taken);
      return database.db.transaction(async (tx) => {
        const batch = await takeBatch(tx, own);
        return takeMoreBatches(tx, batch!, 8);
      });
    });

    expect(along.map(({ id }) => id).sort()).toEqual([first, second].sort());
  });

  test("brings those along that follow it, as many as if no other worker had taken those before it", async () => {
    const ids = Array.from({ length: 8 }, () => randomUUID());
    for (const id of ids) {
      await store([notification(), notification()], id);
      await database.db.query("update batches set wake_at = '2026-11-22' where id = $1", [id]);
    }
    const inOrder = ids.toSorted();
    const take = async (tx: Database) => {
      const batch = await takeBatch(tx, (await nextWaiting(tx)) ?? "");
      return [batch!, ...(await takeMoreBatches(tx, batch!, 6))].map(({ id }) => id).sort();
    };

    const [first, second] = await database.db.transaction(async (tx) => {
      const taken = await take(tx);
      return [taken, await database.db.transaction(take)];
    });

    expect(first).toEqual(inOrder.slice(0, 3));
    expect(second).toEqual(inOrder.slice(3, 6));
  });

  test("that is applied with others has what came of all of them", async () => {
    const ids = [randomUUID(), randomUUID()];
    for (const id of ids) await store([notification()], id);

    const summary = { events: 7, repeated: 6, discarded: 5, ignored: 4, quarantined: 3 };
    await markApplied(database.db, ids, summary);

    const rows = await database.db.query(
      `select id, event_count, repeated_count, discarded_count, ignored_count, quarantined_count from batches
       order by event_count desc`,
    );
    const counts = (
      events: number,
      repeated: number,
      discarded: number,
      ignored: number,
      quarantined: number,
    ) => ({
      event_count: events,
      repeated_count: repeated,
      discarded_count: discarded,
      ignored_count: ignored,
      quarantined_count: quarantined,
    });
    expect(rows).toEqual([
      { id: ids[0], ...counts(7, 6, 5, 4, 3) },
      { id: ids[1], ...counts(0, 0, 0, 0, 0) },
    ]);
  });

  test("that is applied, or that nobody stored, is not given to anyone", async () => {
    const batchId = randomUUID();
    await store([notification()], batchId);
    await markApplied(database.db, [batchId], {
      events: 1,
      repeated: 2,
      discarded: 3,
      ignored: 4,
      quarantined: 5,
    });

    const taken = await database.db.transaction(async (tx) => [
      await takeBatch(tx, batchId),
      await takeBatch(tx, randomUUID()),
    ]);

    expect(taken).toEqual([null, null]);
    const [row] = await database.db.query(
      `select applied_at is not null as applied, attempts, event_count, repeated_count, discarded_count,
         ignored_count, quarantined_count from batches`,
    );
    expect(row).toEqual({
      applied: true,
      attempts: 1,
      event_count: 1,
      repeated_count: 2,
      discarded_count: 3,
      ignored_count: 4,
      quarantined_count: 5,
    });
  });

  test("that is not applied is to be woken when it is time, the longest waiting first, up to a limit", async () => {
    const ids = [randomUUID(), randomUUID(), randomUUID()];
    for (const id of ids) await store([notification()], id);
    await database.db.query(
      `update batches set wake_at = now() + case id when $1 then -90 when $2 then -80 else 60 end * interval '1 second'`,
      [ids[1], ids[2]],
    );

    expect(await takeBatchesToWake(database.db, 1)).toEqual([ids[1]]);
    expect(await takeBatchesToWake(database.db, 10)).toEqual([ids[2]]);
    expect(await takeBatchesToWake(database.db, 10)).toEqual([]);
  });

  test("that waits longest is next, unless it has failed or is taken", async () => {
    const [failed, taken, next, last] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    const ids = [failed, taken, next, last];
    for (const id of ids) await store([notification()], id);
    for (const [place, id] of ids.entries())
      await database.db.query("update batches set wake_at = now() + $2 * interval '1 second' where id = $1", [
        id,
        place,
      ]);
    await database.db.query("update batches set attempts = 1 where id = $1", [failed]);

    await database.db.transaction(async (tx) => {
      await takeBatch(tx, taken);
      expect(await nextWaiting(database.db)).toBe(next);
    });
    await database.db.query("update batches set applied_at = now() where id = any($1)", [
      [taken, next, last],
    ]);
    expect(await nextWaiting(database.db)).toBeNull();
  });

  test("needs no worker of its own while an older one waits that has never failed", async () => {
    const [older, own] = [randomUUID(), randomUUID()].toSorted() as [string, string];
    await store([notification()], own);
    expect(await isAnotherAwaited(database.db, own)).toBe(false);

    await store([notification()], older);
    expect(await isAnotherAwaited(database.db, own)).toBe(true);
    expect(await isAnotherAwaited(database.db, older)).toBe(false);

    await postponeBatch(database.db, older, "failed");
    expect(await isAnotherAwaited(database.db, own)).toBe(false);
  });

  test("is one of at most four that are woken at once, besides those that failed", async () => {
    const ids = Array.from({ length: 9 }, () => randomUUID());
    for (const id of ids) await store([notification()], id);
    const failed = ids.slice(0, 3);
    await database.db.query(
      "update batches set wake_at = now() - interval '1 second', attempts = case when id = any($1) then 1 else 0 end",
      [failed],
    );

    const woken = await takeBatchesToWake(database.db, 10);

    expect(woken).toHaveLength(7);
    expect(woken).toEqual(expect.arrayContaining(failed));
  });

  test("that was just stored, or just woken, is left alone for a while", async () => {
    const [woken, waiting] = [randomUUID(), randomUUID()];
    await database.db.transaction(async (tx) => {
      // Times in one transaction stand still.
      await storeBatch(tx, partitions, woken, [notification()]);
      await storeBatch(tx, partitions, waiting, [notification()]);
      expect(await takeBatchesToWake(tx, 10)).toEqual([]);
      await tx.query("update batches set wake_at = now()");
      expect(await takeBatchesToWake(tx, 10)).toHaveLength(2);
      expect(await takeBatchesToWake(tx, 10)).toEqual([]);
      await wakeSoon(tx, [waiting]);
      expect(await takeBatchesToWake(tx, 10)).toEqual([waiting]);
    });
  });

  test("that fails is put off, longer each time up to five minutes, with the error", async () => {
    const batchId = randomUUID();
    await store([notification()], batchId);
    const delays: number[] = [];
    for (let attempt = 1; attempt <= 12; attempt++) {
      // Times in one transaction stand still.
      const [row] = await database.db.transaction(async (tx) => {
        await postponeBatch(tx, batchId, `failure ${attempt}`);
        return tx.query<{ delay: number }>(
          "select extract(epoch from wake_at - now())::integer as delay from batches where last_error = $1",
          [`failure ${attempt}`],
        );
      });
      delays.push(row?.delay ?? -1);
    }

    expect(delays).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    expect(await takeBatchesToWake(database.db, 10)).toEqual([]);
  });

  test("that was applied meanwhile is not put off", async () => {
    const batchId = randomUUID();
    await store([notification()], batchId);
    const nothing = { events: 0, repeated: 0, discarded: 0, ignored: 0, quarantined: 0 };
    await markApplied(database.db, [batchId], nothing);

    await postponeBatch(database.db, batchId, "too late");

    expect(await database.db.query("select attempts, last_error from batches")).toEqual([
      { attempts: 1, last_error: null },
    ]);
  });
});
