import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { isPartitionMissing } from "../../src/storage/database-errors.ts";
import { type AcceptedNotification, storeBatch } from "../../src/storage/journal.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { retain } from "../../workers/retain.ts";
import { dropJournalDay } from "../../workers/retention.sql.ts";
import { apply } from "../support/apply.ts";
import { sesEvent, timeAfter } from "../support/ses.ts";
import {
  at,
  context,
  database,
  daysAgo,
  daysOfJournal,
  journaled,
  never,
  retainAfter,
  rows,
  service,
  setUp,
  store,
} from "./retention.ts";

setUp();

describe("days of the journal", () => {
  test("are dropped after JOURNAL_DAYS, and their drop is remembered; what they told stays", async () => {
    const today = daysAgo(0);
    const batchId = await store(journaled(sesEvent("Send"), at(today)));
    await applyBatch(context, { batchId });

    await retainAfter(14);
    expect(await daysOfJournal()).toContain(today);

    await retainAfter(15);
    expect(await daysOfJournal()).not.toContain(today);
    expect(await rows("select day::text from journal_drops")).toContainEqual({ day: today });
    expect(await rows("select 1 from batches")).toEqual([]);
    expect(await rows("select type from events")).toEqual([{ type: "sent" }]);
    expect(await rows("select current_status from activity")).toEqual([{ current_status: "sent" }]);
  });

  test("stay for as long after a late arrival, which is a duplicate when it comes again", async () => {
    const old = daysAgo(40);
    const late = journaled(sesEvent("Send"), at(old));
    const batchId = await store(late);
    await applyBatch(context, { batchId });

    await retainAfter(1);
    expect(await daysOfJournal()).toContain(old);
    expect(await storeBatch(context.db, context.partitions, context.clock.newId(), [late])).toEqual([false]);

    await retainAfter(15);
    expect(await daysOfJournal()).not.toContain(old);
    // This process remembers a partition that is gone.
    expect(await storeBatch(context.db, context.partitions, context.clock.newId(), [late])).toEqual([true]);
  });

  test("stay while something of them waits for a worker, whatever its age", async () => {
    const today = daysAgo(0);
    const batchId = await store(journaled(sesEvent("Send"), at(today)));

    await retainAfter(100);
    expect(await daysOfJournal()).toContain(today);
    expect(await rows("select day::text from journal_drops")).not.toContainEqual({ day: today });

    await applyBatch(context, { batchId });
    await retainAfter(100);
    expect(await daysOfJournal()).not.toContain(today);
  });

  test("lose nothing that is stored while they are dropped", async () => {
    const old = daysAgo(50);
    let isStoring = true;
    // A day that goes twice in the same moment is 503 to SNS, which repeats it.
    const storeAsSnsDoes = async (entry: AcceptedNotification): Promise<string> => {
      try {
        return await store(entry);
      } catch (error) {
        if (!isPartitionMissing(error)) throw error;
        return storeAsSnsDoes(entry);
      }
    };
    const storing = async (writer: number) => {
      const batchIds: string[] = [];
      for (let n = 0; n < 40; n++) {
        const payload = sesEvent("Send", { messageId: `${writer}-${n}` });
        batchIds.push(await storeAsSnsDoes(journaled(payload, at(old))));
        // So that a day is at times wholly applied, and may go.
        if (n % 2 === 0) for (const batchId of batchIds.splice(0)) await applyBatch(context, { batchId });
      }
      for (const batchId of batchIds) await applyBatch(context, { batchId });
    };
    const dropping = async () => {
      const outcomes: string[] = [];
      while (isStoring) {
        outcomes.push(await dropJournalDay(context.db, old));
        await sleep(10);
      }
      return outcomes;
    };

    const dropped = dropping();
    await Promise.all([1, 2, 3].map(storing));
    isStoring = false;

    expect(new Set(await dropped)).toContain("dropped");
    expect(await rows("select last_error from batches where applied_at is null")).toEqual([]);
    expect(await rows("select message_id from activity")).toHaveLength(120);
  });

  test("are left for later while a transaction reads the journal", async () => {
    const today = daysAgo(0);
    await applyBatch(context, { batchId: await store(journaled(sesEvent("Send"), at(today))) });

    const outcome = await context.db.transaction(async (tx) => {
      await tx.query("select 1 from notifications");
      return dropJournalDay(context.db, today);
    });

    expect(outcome).toBe("busy");
    expect(await daysOfJournal()).toContain(today);
    expect(await dropJournalDay(context.db, today)).toBe("dropped");
  });
});

describe("events that did not count", () => {
  const open = (after: number) => sesEvent("Open", { after, detail: { userAgent: "Mail" } });

  test("go after DISCARD_DAYS; the email's row stays, also when it is folded anew", async () => {
    const prefetch = sesEvent("Open", { after: 2, detail: { userAgent: "Mozilla/5.0" } });
    await apply(service, sesEvent("Send"), sesEvent("Delivery", { after: 1 }), prefetch);
    await apply(service, open(3600), open(3660), open(3720));
    const facts = `opened_first_at, opened_any_first_at, open_count, last_counted_open_at`;
    const before = await rows(`select ${facts} from activity`);
    expect(before).toMatchObject([{ opened_any_first_at: new Date(timeAfter(2)), open_count: 1 }]);

    await retainAfter(29);
    expect(await rows("select 1 from events where discarded is not null")).toHaveLength(3);
    await retainAfter(31);
    expect(await rows("select 1 from events where discarded is not null")).toEqual([]);
    expect(await rows("select type from events order by occurred_at")).toHaveLength(3);
    expect(await rows(`select ${facts} from activity`)).toEqual(before);

    // A click changes nothing of it, and an open that comes late asks for the whole history.
    await apply(service, open(600));
    expect(await rows(`select ${facts} from activity`)).toMatchObject([
      {
        opened_any_first_at: new Date(timeAfter(2)),
        opened_first_at: new Date(timeAfter(600)),
        open_count: 2,
      },
    ]);
  });

  test("stay as long as the journal tells of them", async () => {
    await apply(service, sesEvent("Send"), open(3600), open(3660));

    const config = { ...context.config, journalDays: 60 };
    const now = () => new Date(Date.now() + 61 * 86_400_000);
    await retain({ ...context, config, clock: { ...systemClock, now } }, never);

    expect(await rows("select 1 from events where discarded is not null")).toHaveLength(1);
  });
});

describe("deliveries", () => {
  async function deliver(state: string, finishedDaysAgo: number | null, eventDaysAgo = 40): Promise<string> {
    const timeMs = Date.now() - eventDaysAgo * 86_400_000;
    const hex = timeMs.toString(16).padStart(12, "0");
    const id = `${hex.slice(0, 8)}-${hex.slice(8)}-8${randomUUID().slice(15)}`;
    await database.db.query(
      `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, finished_at)
       values ($1, $2, $3, $3, 'email.open', '{}', $4, now() - $5 * interval '1 day')`,
      [defaultProjectId, id, randomUUID(), state, finishedDaysAgo],
    );
    await database.db.query(
      `insert into attempts (project_id, delivery_id, id, number, started_at, duration_ms)
       values ($1, $2, $3, 1, now(), 5)`,
      [defaultProjectId, id, randomUUID()],
    );
    return id;
  }

  test("go with their attempts 30 days after they are finished; those that are still owed stay", async () => {
    await deliver("succeeded", 31);
    await deliver("exhausted", 39);
    await deliver("cancelled", 31);
    const kept = [
      await deliver("succeeded", 29),
      await deliver("held", null),
      await deliver("retrying", null),
      await deliver("pending", null, 0),
    ];

    await retainAfter(0);

    const ids = (await rows("select id from deliveries")).map(({ id }) => id);
    expect(new Set(ids)).toEqual(new Set(kept));
    expect(await rows("select 1 from attempts")).toHaveLength(kept.length);
  });

  test("go in steps, past those that stay", async () => {
    await database.db.query(
      `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, finished_at)
       select $1, overlay(gen_random_uuid()::text placing '0190' from 1)::uuid, $2, $2, 'email.open', '{}',
         case when n % 2 = 0 then 'held' else 'succeeded' end, case when n % 2 = 1 then now() - interval '31 days' end
       from generate_series(1, 5000) as n`,
      [defaultProjectId, randomUUID()],
    );

    await retainAfter(0);

    expect(await rows("select state, count(*)::integer as count from deliveries group by state")).toEqual([
      { state: "held", count: 2500 },
    ]);
  });
});
