import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { computedId } from "../../src/domain/computed-id.ts";
import { findEvent, listCustomEvents } from "../../src/http/routes/events.sql.ts";
import type { Database } from "../../src/storage/database.ts";
import { detailsOf, eventsOfActivities, updateDecisions, updateDetails } from "../../src/storage/events.ts";
import { type Batch, loadBatches, quarantine } from "../../src/storage/journal.ts";
import { walkJournal } from "../../src/storage/journal-walk.ts";
import { partitionsOf } from "../../src/storage/partitions.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

/*
 * The journal is partitioned by day, events by month. Statements that run for each batch must not visit days and months that
 * they need not: their plans are read as they were executed.
 */

const dayMs = 86_400_000;
const journalDays = 14;
const eventMonths = 12;
const lastDay = Date.UTC(2026, 10, 22);

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
  const { db } = database;
  const days = Array.from({ length: journalDays }, (_, day) => new Date(lastDay - day * dayMs));
  const months = Array.from({ length: eventMonths }, (_, month) => new Date(Date.UTC(2026, month, 15)));
  await partitionsOf(db).ensure("notifications", days);
  await partitionsOf(db).ensure("events", months);
  await db.query(
    `insert into notifications (project_id, topic_id, sns_message_id, sns_timestamp, batch_id, body)
     select $1, $1, gen_random_uuid(), day + n * interval '40 seconds', md5(day::text || n / 100)::uuid, '{}'
     from unnest($2::timestamptz[]) as day, generate_series(0, 1999) as n`,
    [defaultProjectId, days],
  );
  await db.query(
    `insert into events (project_id, owner_id, occurred_at, id, type, detail)
     select $1, gen_random_uuid(), month + n * interval '10 minutes', gen_random_uuid(), 'delivered', '{}'
     from unnest($2::timestamptz[]) as month, generate_series(0, 1999) as n`,
    [defaultProjectId, months],
  );
  await db.query("insert into recipients (project_id, id, address) values ($1, $1, 'someone@example.com')", [
    defaultProjectId,
  ]);
  await db.query(
    `insert into events (project_id, owner_id, occurred_at, id, type, name, detail)
     select $1, $1, month, gen_random_uuid(), 'custom', 'login', '{}' from unnest($2::timestamptz[]) as month`,
    [defaultProjectId, months],
  );
  await db.query("analyze");
});
afterAll(() => database?.drop());

/** What `explain (format json)` says of a step. */
type Step = {
  "Node Type": string;
  "Relation Name"?: string;
  "Actual Loops": number;
  Plans?: Step[];
};

/** Runs statements, and collects the partitions whose rows or indexes they read. */
function watched(db: Database): { db: Database; visited: () => string[] } {
  const partitions = new Set<string>();
  const visit = (step: Step) => {
    const { "Relation Name": name, "Node Type": kind, "Actual Loops": loops, Plans: below = [] } = step;
    if (name !== undefined && kind.includes("Scan") && loops > 0) partitions.add(name);
    for (const one of below) visit(one);
  };
  return {
    db: {
      async query(sql, params) {
        type Explained = { "QUERY PLAN": [{ Plan: Step }] };
        const [explained] = await db.query<Explained>(`explain (analyze, format json) ${sql}`, params);
        visit(explained!["QUERY PLAN"][0].Plan);
        return db.query(sql, params);
      },
      transaction: (work) => work(watched(db).db),
    },
    visited: () => [...partitions].sort(),
  };
}

/** Some rows of a day or month. */
const rowsOf = (partition: string) =>
  database.db.query<{ project_id: string; topic_id: string; sns_message_id: string; sns_timestamp: Date }>(
    `select * from ${partition} limit 5`,
  );
const eventsOf = (partition: string) =>
  database.db.query<{ project_id: string; owner_id: string; occurred_at: Date; id: string }>(
    `select project_id, owner_id, occurred_at, id from ${partition} limit 5`,
  );

describe("only the days of their notifications are visited", () => {
  test("by a worker that loads batches", async () => {
    const { db, visited } = watched(database.db);
    const batches = await database.db.query<Batch>(
      `select batch_id as id, count(*)::integer as notification_count, min(sns_timestamp) as first_timestamp,
         max(sns_timestamp) as last_timestamp
       from notifications where sns_timestamp >= '2026-11-21' and sns_timestamp < '2026-11-22' group by 1 limit 3`,
    );

    expect(await loadBatches(db, batches)).toHaveLength(300);
    expect(visited()).toEqual(["notifications_2026_11_21"]);
  });

  test("by a worker that puts notifications into quarantine", async () => {
    const { db, visited } = watched(database.db);
    const rows = await rowsOf("notifications_2026_11_20");

    await quarantine(
      db,
      rows.map((row) => ({ ...row, quarantine_reason: "unreadable" })),
    );
    expect(visited()).toEqual(["notifications_2026_11_20"]);
  });
});

test("a rebuild, an erasure or a capture reads one day of the journal at a time", async () => {
  const { db, visited } = watched(database.db);
  const walk = { day: "2026-11-19", after: null, since: null, projectId: defaultProjectId };

  expect(await walkJournal(db, walk, 100)).toHaveLength(100);
  expect(visited()).toEqual(["notifications_2026_11_19"]);
});

describe("only the months of their events are visited", () => {
  test("by a worker that reads details of known events", async () => {
    const { db, visited } = watched(database.db);

    expect((await detailsOf(db, await eventsOf("events_2026_10"))).size).toBe(5);
    expect(visited()).toEqual(["events_2026_10"]);
  });

  test("by a worker that decides again about events of two months", async () => {
    const { db, visited } = watched(database.db);
    const events = [...(await eventsOf("events_2026_09")), ...(await eventsOf("events_2026_11"))];

    await updateDecisions(
      db,
      events.map((event) => ({ ...event, discarded: "repeat", detail: {} })),
    );
    await updateDetails(
      db,
      events.map((event) => ({ ...event, type: "delivered", detail: {} })),
    );
    expect(visited()).toEqual(["events_2026_09", "events_2026_11"]);
  });
});

test("an event is found by its id, and custom events of a time are listed, in their months alone", async () => {
  const { db, visited } = watched(database.db);
  const [event] = await eventsOf("events_2026_07");
  const id = computedId(event!.occurred_at.getTime(), ["an id contains its time"]);
  const [since, until] = [new Date("2026-03-01T00:00:00Z"), new Date("2026-03-31T23:00:00Z")];

  expect(await findEvent(db, event!.project_id, id)).toBeNull();
  const filter = { projectId: defaultProjectId, since, until, withDiscarded: true };
  expect(await listCustomEvents(db, filter, { limit: 10, offset: 0 })).toHaveLength(1);
  expect(visited()).toEqual(["events_2026_03", "events_2026_07", "recipients"]);
});

test("the whole timeline of an email is looked up in each month, because an event may be of any time", async () => {
  const { db, visited } = watched(database.db);
  const [event] = await eventsOf("events_2026_10");

  await eventsOfActivities(db, [{ project_id: event!.project_id, id: event!.owner_id }]);
  expect(visited()).toHaveLength(eventMonths);
});
