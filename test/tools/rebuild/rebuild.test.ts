import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { storeBatch } from "../../../src/storage/journal.ts";
import { defaultProjectId, setProjectRules } from "../../../src/storage/projects.ts";
import type { DifferingActivity } from "../../../src/tools/rebuild/compare-activities.ts";
import { openRebuild, type RebuildOptions, runRebuild } from "../../../src/tools/rebuild/rebuild.ts";
import type { Rebuild } from "../../../src/tools/rebuild/rebuilds.sql.ts";
import { applyBatch } from "../../../workers/apply-batch.ts";
import { type TestDatabase, testDatabase } from "../../support/database.ts";
import { notification } from "../../support/notification.ts";
import { startTestService, type TestService } from "../../support/service.ts";
import { asMessage, type SesPayload } from "../../support/ses.ts";

let database: TestDatabase;
let service: TestService;

beforeEach(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url, roles: { receiver: false, workers: false } });
});
afterEach(async () => {
  await service.close();
  await database.drop();
});

// Everything happens on one day, whenever the test runs, and the journal has that day.
const startMs = Math.floor(Date.now() / 86_400_000) * 86_400_000;
const time = (seconds: number) => new Date(startMs + seconds * 1000);
const person = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/97.0 Safari/537.36";
const keys: Record<string, string> = { Send: "send", Delivery: "delivery", Open: "open", Click: "click" };

function event(type: string, seconds: number, messageId: string, detail: object = {}): SesPayload {
  const mail = { timestamp: time(0).toISOString(), messageId, destination: [`${messageId}@example.com`] };
  const seen = type === "Open" || type === "Click" ? { userAgent: person, ipAddress: "192.0.2.1" } : {};
  return {
    eventType: type,
    mail,
    [keys[type] ?? ""]: { timestamp: time(seconds).toISOString(), ...seen, ...detail },
  };
}

const life = (messageId: string) => [
  event("Click", 400, messageId, { link: "https://example.org/" }),
  event("Open", 300, messageId),
  event("Send", 0, messageId),
  event("Open", 200, messageId),
  event("Open", 1700, messageId),
  event("Delivery", 5, messageId),
];

async function store(payloads: SesPayload[]): Promise<string> {
  const batchId = randomUUID();
  const journaled = payloads.map((payload) =>
    notification({ body: JSON.stringify({ Message: asMessage(payload) }), sns_timestamp: time(1800) }),
  );
  await storeBatch(database.db, service.context.partitions, batchId, journaled);
  return batchId;
}

async function apply(payloads: SesPayload[]): Promise<void> {
  await applyBatch(service.context, { batchId: await store(payloads) });
}

type Run = { ended: Rebuild; changed: DifferingActivity[]; fields: [string, string][] };

async function rebuild(
  options: Partial<RebuildOptions & { restart: boolean; steps: number }> = {},
): Promise<Run> {
  const stop = new AbortController();
  const full: RebuildOptions = {
    ...{ projectId: null, since: null, isDryRun: false, perSecond: 0, stop: stop.signal },
    ...options,
  };
  const opened = await openRebuild(service.context, full, options.restart ?? false);
  const changed: DifferingActivity[] = [];
  let steps = 0;
  const ended = await runRebuild(service.context, opened, full, {
    onChange: (one) => changed.push(one),
    onStep: () => {
      if (++steps === options.steps) stop.abort();
    },
  });
  const fields = changed.flatMap(({ name, rebuilt }) =>
    rebuilt.differences.map(({ field }): [string, string] => [name.message_id, field.replace(/ of .*/, "")]),
  );
  return { ended, changed, fields };
}

const dryRun = () => rebuild({ isDryRun: true });
const tables = async () => ({
  activity: await database.db.query(
    "select to_jsonb(activity) - 'updated_at' as row from activity order by id",
  ),
  events: await database.db.query("select to_jsonb(events) - 'created_at' as row from events order by id"),
});
const sources = () =>
  database.db.query("select inhrelid from pg_inherits where inhparent = 'rebuild_sources'::regclass");

test("lists what the rules of today change in what an earlier version has stored", async () => {
  await apply([
    event("Send", 0, "one"),
    event("Open", 300, "one", { isBotEvent: "Likely" }),
    event("Click", 400, "one", { link: "https://example.org/" }),
    event("Click", 400.3, "one", { link: "https://example.org/" }),
  ]);
  const today = await database.db.query("select open_count, click_count from activity");
  await database.db.query(
    "update events set discarded = null, detail = detail - array['is_bot_event', 'machine', 'kept']",
  );
  await database.db.query(
    `update activity set open_count = 1, click_count = 2, opened_first_at = opened_any_first_at,
       last_counted_open_at = opened_any_first_at, last_counted_click_at = null,
       last_counted_open_id = (select id from events where type = 'opened')`,
  );

  const { ended, fields } = await dryRun();

  expect(ended.change_count).toBe(1);
  expect(fields.map(([, field]) => field).toSorted()).toEqual([
    "click_count",
    "event clicked",
    "event opened",
    "event opened",
    "last_counted_open_at",
    "last_counted_open_id",
    "open_count",
    "opened_first_at",
  ]);
  await rebuild();
  expect(await database.db.query("select open_count, click_count from activity")).toEqual(today);
  expect((await dryRun()).ended.change_count).toBe(0);
});

test("does not list events only because fields without a name are kept by now", async () => {
  await apply([event("Send", 0, "one"), event("Delivery", 5, "one", { remoteMtaIp: "192.0.2.7" })]);
  const kept = await database.db.query(
    "update events set detail = detail - 'more' where detail ? 'more' returning id",
  );

  expect(kept).not.toEqual([]);
  expect((await dryRun()).changed).toEqual([]);
});

test("does not list signs of machines that an earlier version called otherwise", async () => {
  await apply([event("Delivery", 5, "one"), event("Open", 6, "one")]);
  await database.db.query(
    `update events set detail = detail || '{"machine": "just_delivered"}' where discarded is not null`,
  );

  expect((await dryRun()).ended.change_count).toBe(0);
});

test("finds nothing to change after an ordinary run, however its events arrived", async () => {
  for (const payload of life("one")) await apply([payload]);
  await apply([...life("two"), ...life("one")]);
  const before = await tables();

  const { ended, changed } = await dryRun();

  expect(ended).toMatchObject({
    phase: "finished",
    notification_count: 18,
    activity_count: 2,
    change_count: 0,
  });
  expect(changed).toEqual([]);
  expect((await rebuild()).changed).toEqual([]);
  expect(await tables()).toEqual(before);
  expect(await sources()).toEqual([]);
});

describe("a row that was damaged by hand", () => {
  const damages: [string, string, string[]][] = [
    [
      "its state",
      "update activity set current_status = 'sent', opened_first_at = null, open_count = 9 where message_id = 'one'",
      ["current_status", "open_count", "opened_first_at"],
    ],
    ["its facts", "update activity set sent_at = null where message_id = 'one'", ["sent_at"]],
    ["its detail", "update events set detail = '{}' where type = 'clicked'", ["event clicked"]],
    ["a decision", "update events set discarded = 'machine' where type = 'clicked'", ["event clicked"]],
    ["an event", "delete from events where type = 'delivered'", ["event delivered"]],
    [
      "an event that never was",
      `insert into events (project_id, owner_id, occurred_at, id, type, detail, created_at)
       select project_id, owner_id, occurred_at, gen_random_uuid(), 'complained', '{}', created_at
       from events where type = 'sent'`,
      ["event complained"],
    ],
  ];

  test.each(damages)("%s is reported alone by a dry run, and mended without", async (_name, sql, fields) => {
    await apply(life("one"));
    const before = await tables();
    await database.db.query(sql);
    const damaged = await tables();
    expect(damaged).not.toEqual(before);

    const found = await dryRun();
    expect(found.fields.map(([, field]) => field).sort()).toEqual(fields);
    expect(await tables()).toEqual(damaged);

    const mended = await rebuild();
    expect(mended.fields).toEqual(found.fields);
    const marked = (row: unknown) => JSON.stringify(row).replace(',"reclassified":true', "");
    expect((await tables()).activity).toEqual(before.activity);
    expect((await tables()).events.map(marked)).toEqual(before.events.map(marked));
    expect((await dryRun()).changed).toEqual([]);
  });

  test("is the only one of many that is reported", async () => {
    await apply(["one", "two", "three"].flatMap(life));
    await database.db.query("update activity set click_count = 5 where message_id = 'two'");

    expect((await dryRun()).fields).toEqual([["two", "click_count"]]);
  });

  test("and is gone altogether is made again", async () => {
    await apply(life("one"));
    const before = await tables();
    await database.db.query("delete from activity");
    await database.db.query("delete from events");

    expect((await rebuild()).changed).toHaveLength(1);

    const withoutCreation = ({ row }: { row?: object }) => ({ ...row, created_at: null });
    expect((await tables()).activity.map(withoutCreation)).toEqual(before.activity.map(withoutCreation));
    expect((await dryRun()).changed).toEqual([]);
  });
});

test("new rules of a project come to hold for old mail, without webhooks", async () => {
  await apply([event("Delivery", 5, "one"), event("Click", 6, "one", { link: "https://example.org/" })]);
  await database.db.query(
    "insert into webhook_endpoints (project_id, id, url, event_types) values ($1, $2, 'https://example.org/', '{*}')",
    [defaultProjectId, randomUUID()],
  );
  await setProjectRules(database.db, defaultProjectId, { machineFilter: false });

  const { fields } = await rebuild();

  expect(fields.map(([, field]) => field)).toEqual(["clicked_first_at", "click_count", "event clicked"]);
  expect(await database.db.query("select click_count, clicked_first_at from activity")).toEqual([
    { click_count: 1, clicked_first_at: time(6) },
  ]);
  expect(await database.db.query("select 1 from deliveries")).toEqual([]);
});

test("what waits for a worker is left to it", async () => {
  await apply([event("Send", 0, "one")]);
  const batchId = await store([event("Delivery", 5, "one"), event("Send", 0, "waiting")]);

  expect((await dryRun()).changed).toEqual([]);
  expect((await rebuild()).changed).toEqual([]);
  expect(await database.db.query("select type from events")).toEqual([{ type: "sent" }]);

  await applyBatch(service.context, { batchId });
  expect((await dryRun()).changed).toEqual([]);
});

test("events that are older than the journal stay, and count in", async () => {
  await apply(life("one"));
  const before = await tables();
  await database.db.query("delete from notifications");
  await database.db.query("insert into journal_drops (day) values (current_date)");

  expect((await dryRun()).changed).toEqual([]);

  await database.db.query("update activity set open_count = 7");
  expect((await rebuild()).fields).toEqual([["one", "open_count"]]);
  expect(await tables()).toEqual(before);
});

test("--since leaves out emails of which the journal tells nothing since then", async () => {
  await apply(life("one"));
  await database.db.query("update activity set open_count = 7");

  expect((await rebuild({ isDryRun: true, since: time(1801) })).ended.activity_count).toBe(0);
  expect((await rebuild({ isDryRun: true, since: time(1799) })).fields).toEqual([["one", "open_count"]]);
});

test("of one project leaves the others alone", async () => {
  await apply(life("one"));
  await database.db.query("update activity set open_count = 7");

  expect((await rebuild({ projectId: randomUUID() })).ended.activity_count).toBe(0);
  expect((await rebuild({ projectId: defaultProjectId })).fields).toEqual([["one", "open_count"]]);
});

describe("interrupted", () => {
  const many = Array.from({ length: 130 }, (_, index) => `many-${index}`);

  beforeEach(async () => {
    await apply(many.flatMap(life));
    await database.db.query("update activity set open_count = 7");
  });

  test.each([1, 2, 3, 4])("after %i steps it goes on where it was", async (steps) => {
    const first = await rebuild({ steps });
    expect(first.ended.phase).not.toBe("finished");

    const second = await rebuild();

    expect(second.ended.id).toBe(first.ended.id);
    expect(first.changed.length + second.changed.length).toBe(130);
    expect(second.ended).toMatchObject({ notification_count: 780, activity_count: 130, change_count: 130 });
    expect((await dryRun()).changed).toEqual([]);
  });

  test("it begins anew with restart, and for another scope", async () => {
    const { ended } = await rebuild({ steps: 2 });
    expect(await sources()).toHaveLength(1);

    expect((await rebuild({ isDryRun: true })).ended.id).not.toBe(ended.id);
    expect((await rebuild({ restart: true })).ended.id).not.toBe(ended.id);
    expect(await sources()).toEqual([]);
  });

  test("a second process does not make the same step", async () => {
    const { ended } = await rebuild({ steps: 2 });
    const stale = { ...ended, steps: ended.steps - 1 };
    const options = {
      projectId: null,
      since: null,
      isDryRun: false,
      perSecond: 0,
      stop: new AbortController().signal,
    };

    await expect(
      runRebuild(service.context, stale, options, { onChange: () => {}, onStep: () => {} }),
    ).rejects.toThrow("Another process goes on with this rebuild");
  });
});

test("while workers apply new events nothing is lost and nothing is reported", async () => {
  const messages = Array.from({ length: 15 }, (_, index) => `live-${index}`);
  await apply(messages.flatMap((message) => life(message).slice(0, 3)));
  let isDone = false;
  const working = (async () => {
    for (const message of messages) for (const payload of life(message).slice(3)) await apply([payload]);
    isDone = true;
  })();
  const reported: Run[] = [];
  while (!isDone) reported.push(await rebuild({ isDryRun: reported.length % 2 === 0 }));
  await working;

  expect(reported.length).toBeGreaterThan(0);
  expect(reported.flatMap(({ fields }) => fields)).toEqual([]);
  expect((await dryRun()).changed).toEqual([]);
  expect(await database.db.query("select count(*)::integer as count from events")).toEqual([{ count: 90 }]);
});

test("copies of one complaint with two times stay one event with its id, and two that were stored become one", async () => {
  const complaint = (seconds: number) => ({
    eventType: "Complaint",
    mail: { timestamp: time(0).toISOString(), messageId: "m", destination: ["m@example.com"] },
    complaint: {
      timestamp: time(seconds).toISOString(),
      feedbackId: "0100019fa2000000-5d2c6c1e-000000",
      complainedRecipients: [{ emailAddress: "<m@example.com" }],
    },
  });
  await apply([complaint(60.101)]);
  await apply([complaint(60)]);
  const stored = () =>
    database.db.query<{ id: string; complained_at: Date }>(
      "select events.id, complained_at from events join activity on activity.id = events.owner_id",
    );
  const [first] = await stored();

  await rebuild();
  expect(await stored()).toEqual([{ id: first?.id, complained_at: time(60) }]);

  // As it was stored when each time made an event of its own.
  const laterId = `${(Number.parseInt(first?.id.slice(9, 13) ?? "", 16) + 1).toString(16).padStart(4, "0")}`;
  await database.db.query(
    `insert into events (project_id, owner_id, occurred_at, id, type, detail, created_at)
     select project_id, owner_id, occurred_at + interval '1 millisecond', overlay(id::text placing $1 from 10)::uuid, type,
       detail - 'earliest_at', created_at - interval '1 hour' from events`,
    [laterId],
  );
  await rebuild();
  expect(await stored()).toEqual([{ id: first?.id, complained_at: time(60) }]);
});
