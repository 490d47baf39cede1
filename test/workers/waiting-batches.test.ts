import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Database } from "../../src/storage/database.ts";
import { createApplier } from "../../workers/apply-waiting.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";

let database: TestDatabase;
let receiver: TestService;
let worker: TestService | undefined;

/** A receiver without a worker, so that batches wait: each notification is one. */
beforeEach(async () => {
  database = await testDatabase();
  receiver = await startTestService({ databaseUrl: database.url, roles: { receiver: true, workers: false } });
  for (const messageId of ["a", "b", "c", "d", "e", "f"]) {
    const message = receiver.signer.notification(asMessage(sesEvent("Send", { messageId })));
    expect((await receiver.ingest(message)).status).toBe(200);
  }
});
afterEach(async () => {
  await worker?.close();
  worker = undefined;
  await receiver.close();
  await database.drop();
});

async function startWorker(): Promise<void> {
  worker = await startTestService({ databaseUrl: database.url, roles: { receiver: false, workers: true } });
}

const messageIds = async () => {
  const rows = await database.db.query<{ message_id: string }>(
    "select message_id from activity order by message_id",
  );
  return rows.map(({ message_id }) => message_id).join("");
};

test("a worker is woken for the oldest batch, and finds the others by itself", async () => {
  const wakeUps = () => database.db.query("select 1 from bullmq.job where queue = 'fanmail-apply'");
  await until("a worker is woken", async () => (await wakeUps()).length > 0);
  expect(await wakeUps()).toHaveLength(1);

  const stopping = new AbortController();
  const [oldest] = await database.db.query<{ id: string }>("select id from batches order by id limit 1");
  // Batches that are due for the sweep are no concern of the applier.
  await database.db.query("update batches set wake_at = now() + interval '1 hour'");
  await createApplier(receiver.context, stopping.signal)({ batchId: oldest?.id ?? "" });

  expect(await messageIds()).toBe("abcdef");
});

test("a worker that is stopping begins with no further batch", async () => {
  const [oldest] = await database.db.query<{ id: string }>("select id from batches order by id limit 1");
  await createApplier(receiver.context, AbortSignal.abort())({ batchId: oldest?.id ?? "" });

  expect(await messageIds()).toBe("");
});

test("batches that wait are applied together, in one transaction", async () => {
  await startWorker();
  await until("all are applied", async () => (await messageIds()) === "abcdef");

  const transactions = await database.db.query("select distinct applied_at from batches");
  expect(transactions.length).toBeLessThan(6);
  const [sum] = await database.db.query(
    "select sum(event_count)::integer as events, count(*)::integer as batches from batches",
  );
  expect(sum).toEqual({ events: 6, batches: 6 });
});

test("a batch that fails for a reason of its own holds up none of those that wait with it", async () => {
  await database.db.query(
    `create function refuse() returns trigger language plpgsql as $$
     begin
       if new.message_id = 'c' then raise exception 'not this one'; end if;
       return new;
     end $$`,
  );
  await database.db.query(
    "create trigger refuse before insert on activity for each row execute function refuse()",
  );

  await startWorker();
  await until("the others are applied", async () => (await messageIds()) === "abdef");
  await until("the failure is written", async () => {
    const failed = await database.db.query<{ last_error: string }>(
      "select last_error from batches where attempts > 0 and applied_at is null",
    );
    return failed.length === 1 && failed[0]?.last_error === "not this one";
  });
  await database.db.query("drop trigger refuse on activity");

  await until("it is applied too", async () => (await messageIds()) === "abcdef");
});

test("a database that is away while a batch is applied delays it no further: that is no failure of the batch", async () => {
  const [oldest] = await database.db.query<{ id: string }>("select id from batches order by id limit 1");
  await database.db.query("update batches set wake_at = now() + interval '1 hour'");
  // Stands for a volume that is full for a while.
  await database.db.query(
    `create function no_room() returns trigger language plpgsql as
     $$ begin raise exception 'no room' using errcode = 'disk_full'; end $$`,
  );
  await database.db.query("create trigger no_room before insert on activity execute function no_room()");
  const apply = createApplier(receiver.context, new AbortController().signal);

  await apply({ batchId: oldest?.id ?? "" });

  const due = "select attempts, last_error, wake_at <= now() as is_due from batches where id = $1";
  expect(await database.db.query(due, [oldest?.id])).toEqual([
    { attempts: 0, last_error: "no room", is_due: true },
  ]);
  await database.db.query("drop trigger no_room on activity");
  await apply({ batchId: oldest?.id ?? "" });
  expect(await messageIds()).toBe("abcdef");
});

test("a database that fails one of two that apply together fails the job, and not the process", async () => {
  const [oldest] = await database.db.query<{ id: string }>("select id from batches order by id limit 1");
  // So many that another begins beside the first.
  await database.db.query("update batches set notification_count = 600");
  const { context } = receiver;
  const lost = new Error("Connection terminated unexpectedly");
  let looks = 0;
  const db: Database = {
    ...context.db,
    async query(sql, params, kind) {
      if (/order by wake_at, id limit 1 for update skip locked/.test(sql)) {
        looks++;
        if (looks === 1) throw lost;
        // Long enough that the rejection would count as unhandled.
        await sleep(50);
      }
      return context.db.query(sql, params, kind);
    },
  };
  const apply = createApplier({ ...context, db: { ...context.db, ...db } }, new AbortController().signal);

  await expect(apply({ batchId: oldest?.id ?? "" })).rejects.toBe(lost);
  expect(await messageIds()).toBe("abcdef");
});
