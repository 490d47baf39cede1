import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "vitest";
import { isPartitionMissing } from "../../src/storage/database-errors.ts";
import { storeBatch } from "../../src/storage/journal.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { dropJournalDay } from "../../workers/retention.sql.ts";
import type { TestDatabase } from "../support/database.ts";
import { notification } from "../support/notification.ts";
import { asMessage, sesEvent, timeAfter } from "../support/ses.ts";
import { at, daysAgo, test } from "./retention.ts";

describe("days of the journal", () => {
  test("are dropped after JOURNAL_DAYS, and their drop is remembered; what they told stays", async ({
    project,
    database,
    retention,
  }) => {
    const today = daysAgo(0);
    const batchId = await retention.receive(today);

    await retention.after(14);
    expect(await retention.daysOfJournal()).toContain(today);

    await retention.after(15);
    expect(await retention.daysOfJournal()).not.toContain(today);
    expect(await project.select("select day::text from journal_drops")).toContainEqual({ day: today });
    expect(await database.db.query("select 1 from batches where id = $1", [batchId])).toEqual([]);
    expect(await project.select("select type from events")).toEqual([{ type: "sent" }]);
    expect(await project.select("select current_status from activity")).toEqual([{ current_status: "sent" }]);
  });

  test("stay for as long after a late arrival, which is a duplicate when it comes again", async ({
    project,
    service,
    database,
    retention,
  }) => {
    const { context } = service;
    const old = daysAgo(40);
    const body = JSON.stringify({ Message: asMessage(sesEvent("Send")) });
    const late = notification({ project_id: project.id, body, sns_timestamp: at(old) });
    const storeLate = (batchId: string) => storeBatch(database.db, context.partitions, batchId, [late]);
    const batchId = context.clock.newId();
    await storeLate(batchId);
    await applyBatch(context, { batchId });

    await retention.after(1);
    expect(await retention.daysOfJournal()).toContain(old);
    expect(await storeLate(context.clock.newId())).toEqual([false]);

    await retention.after(15);
    expect(await retention.daysOfJournal()).not.toContain(old);
    // This process remembers a partition that is gone.
    expect(await storeLate(context.clock.newId())).toEqual([true]);
  });

  test("stay while something of them waits for a worker, whatever its age", async ({
    project,
    service,
    retention,
  }) => {
    const { context } = service;
    const day = daysAgo(2);
    const batchId = await project.store([sesEvent("Send")], { sns_timestamp: at(day) });

    await retention.after(100);
    expect(await retention.daysOfJournal()).toContain(day);
    expect(await project.select("select day::text from journal_drops")).not.toContainEqual({ day });

    await applyBatch(context, { batchId });
    await retention.after(100);
    expect(await retention.daysOfJournal()).not.toContain(day);
  });

  test("lose nothing that is stored while they are dropped", async ({ project, service, database }) => {
    const { context } = service;
    const old = daysAgo(50);
    let isStoring = true;
    // A day that goes twice in the same moment is 503 to SNS, which repeats it.
    const storeAsSnsDoes = async (messageId: string): Promise<string> => {
      try {
        return await project.store([sesEvent("Send", { messageId })], { sns_timestamp: at(old) });
      } catch (error) {
        if (!isPartitionMissing(error)) throw error;
        return storeAsSnsDoes(messageId);
      }
    };
    const storing = async (writer: number) => {
      const batchIds: string[] = [];
      for (let n = 0; n < 40; n++) {
        batchIds.push(await storeAsSnsDoes(`${writer}-${n}`));
        // So that a day is at times wholly applied, and may go.
        if (n % 2 === 0) for (const batchId of batchIds.splice(0)) await applyBatch(context, { batchId });
      }
      for (const batchId of batchIds) await applyBatch(context, { batchId });
    };
    const dropping = async () => {
      const outcomes: string[] = [];
      while (isStoring) {
        outcomes.push(await dropJournalDay(database.db, old));
        // Writers wait while it tries, so that on a slow machine they would hardly store anything in between.
        await sleep(50);
      }
      return outcomes;
    };

    const dropped = dropping();
    await Promise.all([1, 2, 3].map(storing)).finally(() => {
      isStoring = false;
    });

    expect(new Set(await dropped)).toContain("dropped");
    expect(await project.select("select last_error from batches where applied_at is null")).toEqual([]);
    expect(await project.select("select message_id from activity")).toHaveLength(120);
  });

  test("are left for later while a transaction reads the journal", async ({ database, retention }) => {
    const today = daysAgo(0);
    await retention.receive(today);

    const outcome = await database.db.transaction(async (tx) => {
      await tx.query("select 1 from notifications");
      return dropJournalDay(database.db, today);
    });

    expect(outcome).toBe("busy");
    expect(await retention.daysOfJournal()).toContain(today);
    expect(await dropJournalDay(database.db, today)).toBe("dropped");
  });
});

describe("events that did not count", () => {
  const open = (after: number) => sesEvent("Open", { after, detail: { userAgent: "Mail" } });

  test("go after DISCARD_DAYS; the email's row stays, also when it is folded anew", async ({
    project,
    retention,
  }) => {
    const prefetch = sesEvent("Open", { after: 2, detail: { userAgent: "Mozilla/5.0" } });
    await project.apply(sesEvent("Send"), sesEvent("Delivery", { after: 1 }), prefetch);
    await project.apply(open(3600), open(3660), open(3720));
    const facts = `opened_first_at, opened_any_first_at, open_count, last_counted_open_at`;
    const before = await project.select(`select ${facts} from activity`);
    expect(before).toMatchObject([{ opened_any_first_at: new Date(timeAfter(2)), open_count: 1 }]);

    await retention.after(29);
    expect(await project.select("select 1 from events where discarded is not null")).toHaveLength(3);
    await retention.after(31);
    expect(await project.select("select 1 from events where discarded is not null")).toEqual([]);
    expect(await project.select("select type from events order by occurred_at")).toHaveLength(3);
    expect(await project.select(`select ${facts} from activity`)).toEqual(before);

    // A click changes nothing of it, and an open that comes late asks for the whole history.
    await project.apply(open(600));
    expect(await project.select(`select ${facts} from activity`)).toMatchObject([
      {
        opened_any_first_at: new Date(timeAfter(2)),
        opened_first_at: new Date(timeAfter(600)),
        open_count: 2,
      },
    ]);
  });

  test("stay as long as the journal tells of them", async ({ project, service, retention }) => {
    await project.apply(sesEvent("Send"), open(3600), open(3660));

    await retention.after(61, { config: { ...service.context.config, journalDays: 60 } });

    expect(await project.select("select 1 from events where discarded is not null")).toHaveLength(1);
  });
});

describe("deliveries", () => {
  async function deliver(
    { db }: TestDatabase,
    projectId: string,
    state: string,
    finishedDaysAgo: number | null,
    eventDaysAgo = 40,
  ): Promise<string> {
    const timeMs = Date.now() - eventDaysAgo * 86_400_000;
    const hex = timeMs.toString(16).padStart(12, "0");
    const id = `${hex.slice(0, 8)}-${hex.slice(8)}-8${randomUUID().slice(15)}`;
    await db.query(
      `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, finished_at)
       values ($1, $2, $3, $3, 'email.open', '{}', $4, now() - $5 * interval '1 day')`,
      [projectId, id, randomUUID(), state, finishedDaysAgo],
    );
    await db.query(
      `insert into attempts (project_id, delivery_id, id, number, started_at, duration_ms)
       values ($1, $2, $3, 1, now(), 5)`,
      [projectId, id, randomUUID()],
    );
    return id;
  }

  test("go with their attempts 30 days after they are finished; those that are still owed stay", async ({
    project,
    database,
    retention,
  }) => {
    const owe = (state: string, finishedDaysAgo: number | null, eventDaysAgo?: number) =>
      deliver(database, project.id, state, finishedDaysAgo, eventDaysAgo);
    await owe("succeeded", 31);
    await owe("exhausted", 39);
    await owe("cancelled", 31);
    const kept = [
      await owe("succeeded", 29),
      await owe("held", null),
      await owe("retrying", null),
      await owe("pending", null, 0),
    ];

    await retention.after(0);

    const ids = (await project.select("select id from deliveries")).map(({ id }) => id);
    expect(new Set(ids)).toEqual(new Set(kept));
    expect(await project.select("select 1 from attempts")).toHaveLength(kept.length);
  });

  test("go in steps, past those that stay", async ({ project, database, retention }) => {
    await database.db.query(
      `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, finished_at)
       select $1, overlay(gen_random_uuid()::text placing '0190' from 1)::uuid, $2, $2, 'email.open', '{}',
         case when n % 2 = 0 then 'held' else 'succeeded' end, case when n % 2 = 1 then now() - interval '31 days' end
       from generate_series(1, 5000) as n`,
      [project.id, randomUUID()],
    );

    await retention.after(0);

    expect(
      await project.select("select state, count(*)::integer as count from deliveries group by state"),
    ).toEqual([{ state: "held", count: 2500 }]);
  });
});
