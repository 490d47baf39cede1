import { afterEach, beforeEach, expect, test } from "vitest";
import { storeBatch } from "../../src/storage/journal.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { notification } from "../support/notification.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";

/*
 * Jobs only wake: whatever happens to them, Postgres knows what is left to do.
 */

let database: TestDatabase;
let sink: TestSink;
const services: TestService[] = [];

beforeEach(async () => {
  database = await testDatabase();
  sink = await webhookSink(() => ({ status: 200 }));
});
afterEach(async () => {
  for (const service of services.splice(0)) await service.close();
  await sink.close();
  await database.drop();
});

async function start(
  roles: { receiver: boolean; workers: boolean },
  key?: string,
  more: Record<string, string> = {},
): Promise<TestService> {
  const environment = { ...(key && { ENCRYPTION_KEY: key }), ...more };
  const service = await startTestService({ databaseUrl: database.url, roles, environment });
  services.push(service);
  return service;
}

const receiverOnly = { receiver: true, workers: false };
const workersOnly = { receiver: false, workers: true };
const encryptionKey = Buffer.alloc(32, 7).toString("base64");

async function ingest(service: TestService, messageId: string): Promise<void> {
  const message = service.signer.notification(asMessage(sesEvent("Send", { messageId })));
  expect((await service.ingest(message)).status).toBe(200);
}

/** Loses every job, as `FLUSHALL` does on Redis. */
async function loseJobs(): Promise<void> {
  await database.db.query("delete from bullmq.job");
}

test("a worker that starts applies what waits although its Redis is away", async () => {
  const receiver = await start(receiverOnly);
  await ingest(receiver, "a");

  await start(workersOnly, undefined, { REDIS_URL: "redis://127.0.0.1:1" });

  expect(await database.db.query("select message_id from activity")).toEqual([{ message_id: "a" }]);
});

test("a batch whose wake-up was lost is applied by the sweep", async () => {
  const { context, signer } = await start(workersOnly);
  for (const messageId of ["a", "b"]) {
    const body = JSON.stringify(signer.notification(asMessage(sesEvent("Send", { messageId }))));
    // What wakes a worker after it is left out.
    await storeBatch(context.db, context.partitions, context.clock.newId(), [notification({ body })]);
  }

  await until(
    "both are applied",
    async () => (await database.db.query("select 1 from activity")).length === 2,
  );
});

test("deliveries whose wake-up was lost, and those of a process that died, arrive", async () => {
  const receiver = await start(receiverOnly, encryptionKey);
  const { id } = await addEndpoint(receiver.context, sink.url);
  await ingest(receiver, "a");
  await ingest(receiver, "b");
  const first = await start(workersOnly, encryptionKey);
  await until("both arrived", () => sink.received.length === 2);
  await until("both are written", async () => {
    return (await database.db.query("select 1 from deliveries where state = 'succeeded'")).length === 2;
  });
  services.splice(services.indexOf(first), 1);
  await first.close();
  // As a process leaves it that is killed between its claim and its outcome; and a retry that is due.
  await database.db.query(
    `update deliveries set state = 'leased', lease_id = $1, lease_expires_at = now() - interval '1 second'
     where id = (select min(id::text)::uuid from deliveries)`,
    [id],
  );
  await database.db.query(
    "update deliveries set state = 'retrying', due_at = now() where state = 'succeeded'",
  );
  await loseJobs();

  await start(workersOnly, encryptionKey);

  await until("both arrived again", () => sink.received.length === 4);
  await until("no lease is left", async () => {
    const states = await database.db.query("select distinct state from deliveries");
    return JSON.stringify(states) === '[{"state":"succeeded"}]';
  });
});

test("a lease that has not expired is left to its holder", async () => {
  const service = await start({ receiver: true, workers: true });
  await addEndpoint(service.context, sink.url);
  await ingest(service, "a");
  await until("it arrived", async () => {
    return (await database.db.query("select 1 from deliveries where state = 'succeeded'")).length === 1;
  });
  await database.db.query(
    "update deliveries set state = 'leased', lease_id = id, lease_expires_at = now() + interval '1 hour'",
  );
  await ingest(service, "b");
  await until("the second arrived", async () => {
    return (await database.db.query("select 1 from deliveries where state = 'succeeded'")).length === 1;
  });
  expect(sink.received).toHaveLength(2);

  expect(await database.db.query("select state from deliveries order by created_at")).toEqual([
    { state: "leased" },
    { state: "succeeded" },
  ]);
});

test("a batch that fails is put off with its reason, and applied when the trouble is over", async () => {
  const receiver = await start(receiverOnly);
  await ingest(receiver, "a");
  await database.db.query("alter table activity rename to activity_away");
  await start(workersOnly);
  await until("the failure is written", async () => {
    const [batch] = await database.db.query<{ attempts: number; last_error: string | null }>(
      "select attempts, last_error from batches",
    );
    return (
      batch !== undefined && batch.attempts > 0 && /activity.* does not exist/.test(batch.last_error ?? "")
    );
  });

  await database.db.query("alter table activity_away rename to activity");

  await until("it is applied", async () => (await database.db.query("select 1 from activity")).length === 1);
  expect(
    await database.db.query("select last_error, applied_at is not null as applied from batches"),
  ).toEqual([{ last_error: null, applied: true }]);
});

test("the partitions of the coming days are there before they are needed", async () => {
  await start(workersOnly);
  const day = new Date(Date.now() + 2 * 86_400_000).toISOString().slice(0, 10).replaceAll("-", "_");

  await until("the partition of the day after tomorrow", async () => {
    const [row] = await database.db.query<{ found: boolean }>("select to_regclass($1) is not null as found", [
      `notifications_${day}`,
    ]);
    return row?.found === true;
  });
});
