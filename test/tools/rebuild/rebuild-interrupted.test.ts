import { randomUUID } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import { runRebuild } from "../../../src/tools/rebuild/rebuild.ts";
import { applyBatch } from "../../../workers/apply-batch.ts";
import {
  apply,
  database,
  dryRun,
  event,
  life,
  type Run,
  rebuild,
  service,
  setUp,
  sources,
  store,
  tables,
  time,
} from "./rebuilding.ts";

setUp();

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
