import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { defaultProjectId, setProjectRules } from "../../../src/storage/projects.ts";
import { apply, database, dryRun, event, life, rebuild, setUp, sources, tables, time } from "./rebuilding.ts";

setUp();

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
