import { expect } from "vitest";
import type { Database } from "../../src/storage/database.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { projectTest } from "../support/project-test.ts";
import { sesEvent, timeAfter } from "../support/ses.ts";
import { until } from "../support/wait.ts";

const test = projectTest({ roles: { receiver: false, workers: true } }).extend(
  "mail",
  ({ project, service }) => {
    const { wakeApply } = service.context.queues;
    const mail = {
      /** Stores batches, and waits until workers have applied them. */
      async store(...batches: unknown[][]): Promise<void> {
        await Promise.all(batches.map(async (batch) => wakeApply([{ batchId: await project.store(batch) }])));
        await until("all batches are applied", async () => {
          return (await project.select("select 1 from batches where applied_at is null")).length === 0;
        });
      },
      /** Stores each payload as a batch. */
      ingest: (...payloads: unknown[]) => mail.store(...payloads.map((payload) => [payload])),
      activity: () =>
        project.select(
          `select message_id, recipient, current_status, sent_at, delivered_at, bounced_at, complained_at, opened_first_at,
           clicked_first_at, open_count, click_count from activity order by message_id, recipient`,
        ),
      timeline: () =>
        project.select("select type, occurred_at, discarded from events order by occurred_at, type, id"),
    };
    return mail;
  },
);

const at = (seconds: number) => new Date(timeAfter(seconds));
const untouched = {
  message_id: "message-1",
  recipient: "jane@example.com",
  sent_at: at(0),
  delivered_at: null,
  bounced_at: null,
  complained_at: null,
  opened_first_at: null,
  clicked_first_at: null,
  open_count: 0,
  click_count: 0,
};

test("the life of an email becomes one row and a timeline", async ({ mail }) => {
  await mail.ingest(
    sesEvent("Send"),
    sesEvent("Delivery", { after: 2 }),
    sesEvent("Open", { after: 60, detail: { userAgent: "Mail", ipAddress: "192.0.2.1" } }),
    sesEvent("Click", { after: 70, detail: { link: "https://example.org/" } }),
  );

  expect(await mail.activity()).toEqual([
    {
      ...untouched,
      current_status: "delivered",
      delivered_at: at(2),
      opened_first_at: at(60),
      clicked_first_at: at(70),
      open_count: 1,
      click_count: 1,
    },
  ]);
  expect(await mail.timeline()).toEqual([
    { type: "sent", occurred_at: at(0), discarded: null },
    { type: "delivered", occurred_at: at(2), discarded: null },
    { type: "opened", occurred_at: at(60), discarded: null },
    { type: "clicked", occurred_at: at(70), discarded: null },
  ]);
});

test("a delivery that arrives after a complaint leaves the status complained", async ({ mail }) => {
  await mail.ingest(sesEvent("Complaint", { after: 90, detail: { feedbackId: "f" } }));
  await mail.ingest(sesEvent("Delivery", { after: 2 }));

  expect(await mail.activity()).toEqual([
    { ...untouched, current_status: "complained", complained_at: at(90), delivered_at: at(2) },
  ]);
});

test("an event that arrives before the send is known makes the row, and the send fills what was missing", async ({
  mail,
  project,
}) => {
  await mail.ingest(sesEvent("Delivery", { after: 2, mail: { commonHeaders: null } }));
  await mail.ingest(
    sesEvent("Send", { mail: { commonHeaders: { subject: "Hello", from: ["Shop <shop@example.org>"] } } }),
  );

  const rows = await project.select(
    "select subject, sender_name, sender_domain, current_status from activity",
  );
  expect(rows).toEqual([
    { subject: "Hello", sender_name: "Shop", sender_domain: "example.org", current_status: "delivered" },
  ]);
});

test("the same fact in two SNS messages is one event", async ({ mail, project }) => {
  const click = sesEvent("Click", { after: 5, detail: { link: "https://example.org/" } });
  await mail.ingest(click, { ...click, somethingNew: true });

  expect(await mail.timeline()).toHaveLength(1);
  expect(await mail.activity()).toMatchObject([{ click_count: 1 }]);
  const counts = await project.select(
    "select sum(event_count)::int as events, sum(repeated_count)::int as repeated from batches",
  );
  expect(counts).toEqual([{ events: 1, repeated: 1 }]);
});

test("an open that arrives late, but happened first, decides anew about those that came before it", async ({
  mail,
}) => {
  const minutes = (count: number) => sesEvent("Open", { after: count * 60 });
  await mail.ingest(minutes(15), minutes(30), minutes(36));
  await mail.ingest(minutes(0));

  expect(await mail.timeline()).toEqual([
    { type: "opened", occurred_at: at(0), discarded: null },
    { type: "opened", occurred_at: at(15 * 60), discarded: "open_window" },
    { type: "opened", occurred_at: at(30 * 60), discarded: null },
    { type: "opened", occurred_at: at(36 * 60), discarded: "open_window" },
  ]);
  expect(await mail.activity()).toMatchObject([{ open_count: 2, opened_first_at: at(0) }]);
});

test("one notification that the database refuses is quarantined and holds nobody back", async ({
  mail,
  project,
  database,
}) => {
  // Stands for a limit of the database that nobody has thought of.
  await database.db.query("alter table activity add check (message_id <> 'poison')");
  const poison = sesEvent("Send", { messageId: "poison" });
  const messages = [sesEvent("Send", { messageId: "a" }), poison, sesEvent("Send", { messageId: "b" })];

  await mail.store(messages);

  expect((await mail.activity()).map((row) => row["message_id"])).toEqual(["a", "b"]);
  const quarantined = await project.select(
    "select strpos(body, 'poison') > 0 as is_poison, quarantine_reason from notifications where quarantine_reason is not null",
  );
  expect(quarantined).toEqual([
    {
      is_poison: true,
      quarantine_reason: "The database cannot store it (SQLSTATE 23514)",
    },
  ]);
});

test("what is no event is kept and counted: set-up messages, inbound mail, types that nobody knows yet", async ({
  mail,
  project,
}) => {
  await mail.ingest(
    "Successfully validated SNS topic for Amazon SES event publishing.",
    { notificationType: "AmazonSnsSubscriptionSucceeded", message: "…" },
    { notificationType: "Received", mail: {} },
    sesEvent("FutureEvent"),
  );

  const counts = await project.select(
    "select sum(ignored_count)::int as ignored, sum(quarantined_count)::int as quarantined, sum(event_count)::int as events from batches",
  );
  expect(counts).toEqual([{ ignored: 4, quarantined: 0, events: 0 }]);
  expect(await project.select("select 1 from notifications")).toHaveLength(4);
});

test("batches that touch the same emails in opposite order, applied at the same time, all pass", async ({
  mail,
  project,
}) => {
  const ids = Array.from({ length: 30 }, (_, index) => `message-${index}`);
  const rounds = ["Send", "Delivery", "Open", "Click"].map((type, round) =>
    (round % 2 === 0 ? ids : ids.toReversed()).map((messageId) =>
      sesEvent(type, { messageId, after: round * 60 }),
    ),
  );

  await mail.store(...rounds);

  expect(await mail.activity()).toHaveLength(30);
  expect(await mail.timeline()).toHaveLength(120);
  const states = await project.select(
    "select distinct current_status, open_count, click_count from activity",
  );
  expect(states).toEqual([{ current_status: "delivered", open_count: 1, click_count: 1 }]);
});

/** Notes the statements that go through a database. */
function noting(db: Database, statements: string[]): Database {
  return {
    query(sql, params) {
      statements.push(sql);
      return db.query(sql, params);
    },
    transaction: (work) => db.transaction((tx) => work(noting(tx, statements))),
  };
}

test("all invalid notifications of a batch are quarantined in one statement, each with its reason", async ({
  project,
  service,
}) => {
  const { context } = service;
  const bodies = ["no JSON", "[]", { eventType: "Send", mail: {} }, sesEvent("Send")];
  const batchId = await project.store(bodies);
  const statements: string[] = [];
  const db = { ...noting(context.db, statements), close: () => context.db.close() };

  await applyBatch({ ...context, db }, { batchId });

  const reasons = await project.select(
    'select quarantine_reason collate "C" as reason, count(*)::integer as count from notifications group by 1 order by 1',
  );
  expect(reasons).toEqual([
    { reason: "The message is not JSON", count: 1 },
    { reason: "The message is not a JSON object", count: 1 },
    { reason: "mail.messageId is missing or malformed", count: 1 },
    { reason: null, count: 1 },
  ]);
  expect(statements.filter((sql) => sql.includes("set quarantine_reason"))).toHaveLength(1);
});
