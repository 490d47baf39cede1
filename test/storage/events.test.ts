import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  detailsOf,
  type EventRow,
  eventsOfActivities,
  eventsOfActivity,
  insertEvents,
  updateDecisions,
  updateDetails,
} from "../../src/storage/events.ts";
import { partitionsOf } from "../../src/storage/partitions.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
  await partitionsOf(database.db).ensure("events", [
    new Date("2026-10-31T12:00:00Z"),
    new Date("2026-11-01T12:00:00Z"),
  ]);
});
afterAll(() => database?.drop());
beforeEach(async () => {
  await database.db.query("truncate events");
});

const activityId = randomUUID();

function event(fields: Partial<EventRow> = {}): EventRow {
  return {
    project_id: defaultProjectId,
    owner_id: activityId,
    id: randomUUID(),
    type: "opened",
    occurred_at: new Date("2026-11-01T12:00:00.123Z"),
    detail: { user_agent: 'Agent "1"' },
    ...fields,
  };
}

const timeline = (id = activityId) => eventsOfActivity(database.db, defaultProjectId, id);

describe("insertEvents", () => {
  test("stores events as they are, and returns the ids of all that are new", async () => {
    const [one, two] = [event(), event({ type: "clicked", occurred_at: new Date("2026-11-02T00:00:00Z") })];

    expect(await insertEvents(database.db, [two, one])).toEqual(
      new Map([
        [one.id, expect.any(Date)],
        [two.id, expect.any(Date)],
      ]),
    );

    const { project_id: _p, owner_id: _a, ...first } = one;
    const [stored] = await timeline();
    expect(stored).toEqual({ ...first, discarded: null, created_at: expect.any(Date) });
  });

  test("returns only what is new, and leaves what is there as it is", async () => {
    const known = event();
    await insertEvents(database.db, [known]);
    const fresh = event();

    const newIds = await insertEvents(database.db, [{ ...known, detail: { user_agent: "other" } }, fresh]);

    expect([...newIds.keys()]).toEqual([fresh.id]);
    expect((await timeline()).find(({ id }) => id === known.id)?.detail).toEqual({ user_agent: 'Agent "1"' });
  });

  test("stores an event that is there twice once", async () => {
    const twice = event();
    expect(await insertEvents(database.db, [twice, twice])).toEqual(new Map([[twice.id, expect.any(Date)]]));
    expect(await timeline()).toHaveLength(1);
  });

  test("stores each once when several transactions store the same in another order", async () => {
    const events = Array.from({ length: 20 }, () => event());

    const results = await Promise.all([
      database.db.transaction((tx) => insertEvents(tx, events)),
      database.db.transaction((tx) => insertEvents(tx, events.toReversed())),
    ]);

    expect(results.flatMap((ids) => [...ids.keys()]).sort()).toEqual(events.map(({ id }) => id).sort());
  });
});

describe("updateDecisions", () => {
  const decision = ({ project_id, owner_id, occurred_at, id }: EventRow, kept: string | null) => ({
    ...{ project_id, owner_id, occurred_at, id },
    discarded: kept === null ? null : ("open_window" as const),
    detail: kept === null ? {} : { kept },
  });

  test("writes why an event does not count and which stands for it, beside its detail", async () => {
    const [counted, out] = [event(), event()];
    await insertEvents(database.db, [counted, out]);

    await updateDecisions(database.db, [decision(out, counted.id)]);

    const stored = new Map((await timeline()).map((row) => [row.id, [row.discarded, row.detail]]));
    expect(stored).toEqual(
      new Map([
        [counted.id, [null, { user_agent: 'Agent "1"' }]],
        [out.id, ["open_window", { user_agent: 'Agent "1"', kept: counted.id }]],
      ]),
    );
  });

  test("takes a decision back without a trace", async () => {
    const [first, second] = [event(), event()];
    await insertEvents(database.db, [first, second]);
    await updateDecisions(database.db, [decision(second, first.id)]);

    await updateDecisions(database.db, [decision(second, null), decision(first, second.id)]);

    const stored = new Map((await timeline()).map((row) => [row.id, [row.discarded, row.detail]]));
    expect(stored).toEqual(
      new Map([
        [second.id, [null, { user_agent: 'Agent "1"' }]],
        [first.id, ["open_window", { user_agent: 'Agent "1"', kept: second.id }]],
      ]),
    );
  });

  test("replaces all of an earlier decision, and nothing that is told", async () => {
    const click = event({ type: "clicked", detail: { url_clicked: "https://example.org/" } });
    await insertEvents(database.db, [click]);

    await updateDecisions(database.db, [
      {
        ...decision(click, null),
        discarded: "machine",
        detail: { machine: "delivery", reclassified: true },
      },
    ]);
    expect(await timeline()).toMatchObject([
      {
        discarded: "machine",
        detail: { url_clicked: "https://example.org/", machine: "delivery", reclassified: true },
      },
    ]);

    await updateDecisions(database.db, [decision(click, null)]);
    const [stored] = await timeline();
    expect([stored?.discarded, stored?.detail]).toEqual([null, { url_clicked: "https://example.org/" }]);
  });

  test("touches no event of another activity or project", async () => {
    const mine = event();
    const theirs = event({ ...mine, project_id: randomUUID() });
    const elsewhere = event({ ...mine, owner_id: randomUUID() });
    await insertEvents(database.db, [mine, theirs, elsewhere]);

    await updateDecisions(database.db, [decision(mine, mine.id)]);

    const rows = await database.db.query("select 1 from events where discarded is not null");
    expect(rows).toHaveLength(1);
    expect((await timeline())[0]?.discarded).toBe("open_window");
  });
});

describe("details", () => {
  test("of events are read by id, as they are stored; those that are not there have none", async () => {
    const [one, two] = [event(), event({ detail: { processing_time_ms: 0 } })];
    await insertEvents(database.db, [one, two, event()]);

    const found = await detailsOf(database.db, [
      one,
      two,
      event(),
      { ...one, project_id: randomUUID() },
      { ...one, owner_id: randomUUID() },
    ]);

    expect(found).toEqual(
      new Map([
        [one.id, one.detail],
        [two.id, two.detail],
      ]),
    );
  });

  test("are replaced whole; the decision stays", async () => {
    const told = event({ type: "bounced", detail: { bounce_type: "Transient", auto_reply: true } });
    await insertEvents(database.db, [told]);
    const { project_id, owner_id, occurred_at, id } = told;
    await updateDecisions(database.db, [
      { project_id, owner_id, occurred_at, id, discarded: "machine", detail: {} },
    ]);

    await updateDetails(database.db, [{ ...told, detail: { bounce_type: "Transient", action: "failed" } }]);

    const [stored] = await timeline();
    expect([stored?.discarded, stored?.detail]).toEqual([
      "machine",
      { bounce_type: "Transient", action: "failed" },
    ]);
  });

  test("of another activity or project are not touched", async () => {
    const mine = event();
    const theirs = event({ ...mine, project_id: randomUUID() });
    const elsewhere = event({ ...mine, owner_id: randomUUID() });
    await insertEvents(database.db, [mine, theirs, elsewhere]);

    await updateDetails(database.db, [{ ...mine, detail: { ip_address: "192.0.2.1" } }]);

    const changed = await database.db.query(
      "select project_id, owner_id from events where detail ? 'ip_address'",
    );
    expect(changed).toEqual([{ project_id: defaultProjectId, owner_id: activityId }]);
  });
});

describe("reading", () => {
  test("a timeline is in order of event time, over months, ties by id", async () => {
    const at = (time: string, id = randomUUID()) => event({ occurred_at: new Date(time), id });
    const tie = "2026-11-01T00:00:00Z";
    const events = [
      at("2026-10-31T23:59:59.999Z"),
      at(tie, "00000000-0000-4000-8000-000000000001"),
      at(tie, "00000000-0000-4000-8000-000000000002"),
      at("2026-11-01T00:00:00.001Z"),
    ];
    await insertEvents(database.db, events.toReversed());
    await insertEvents(database.db, [event({ owner_id: randomUUID() })]);

    expect((await timeline()).map(({ id }) => id)).toEqual(events.map(({ id }) => id));
  });

  test("a timeline of another project is empty", async () => {
    await insertEvents(database.db, [event()]);
    expect(await eventsOfActivity(database.db, randomUUID(), activityId)).toEqual([]);
  });

  test("the events of several activities come by activity", async () => {
    const [one, two, three] = [event(), event({ owner_id: randomUUID() }), event()];
    await insertEvents(database.db, [one, two, three, event({ owner_id: randomUUID() })]);

    const found = await eventsOfActivities(database.db, [
      { project_id: defaultProjectId, id: activityId },
      { project_id: defaultProjectId, id: two.owner_id },
      { project_id: randomUUID(), id: activityId },
      { project_id: defaultProjectId, id: randomUUID() },
    ]);

    const ids = [...found].map(([id, events]) => [id, events.map((each) => each.id).sort()]);
    expect(new Map(ids as [string, string[]][])).toEqual(
      new Map([
        [activityId, [one.id, three.id].sort()],
        [two.owner_id, [two.id]],
      ]),
    );
  });
});
