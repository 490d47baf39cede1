import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { timeOfId } from "../../src/domain/computed-id.ts";
import type { Lane } from "../../src/domain/webhooks/owed.ts";
import { type EventToTrack, type TrackContext, trackEvents } from "../../src/events/track-events.ts";
import { type Database, type DatabasePool, openDatabase } from "../../src/storage/database.ts";
import { partitionsOf } from "../../src/storage/partitions.ts";
import { defaultProjectId, insertProject } from "../../src/storage/projects.ts";
import { addEndpoint as add } from "../../src/webhooks/endpoints.ts";
import { createSecretBox } from "../../src/webhooks/secret-box.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

const otherProjectId = randomUUID();
const occurredAt = new Date("2026-11-20T10:00:00.123Z");

let database: TestDatabase;
let endpointId: string;
let woken: Lane[];
let warnings: string[];
let otherPools: DatabasePool[];

beforeAll(async () => {
  database = await testDatabase();
  await insertProject(database.db, otherProjectId, "other");
});
afterAll(() => database?.drop());
beforeEach(async () => {
  await database.db.query(
    "truncate events, recipients, orders, deliveries, webhook_endpoints, webhook_secrets, webhook_lanes, replays",
  );
  endpointId = await addEndpoint(["event.tracked"]);
  [woken, warnings, otherPools] = [[], [], []];
});
afterEach(async () => {
  await Promise.all(otherPools.map((pool) => pool.close()));
});

async function addEndpoint(eventTypes: string[]): Promise<string> {
  const context = { db: database.db, clock: systemClock, secretBox: createSecretBox([randomBytes(32)]) };
  const settings = { event_types: eventTypes };
  return (await add(context, defaultProjectId, "https://example.com/hook", settings)).id;
}

function contextOn(db: Database): TrackContext {
  return {
    db,
    partitions: partitionsOf(db),
    clock: systemClock,
    queues: {
      async wakeDeliver(jobs) {
        woken.push(...jobs);
      },
    },
    log: {
      error: () => {},
      warn: (_fields, message) => warnings.push(message),
      info: () => {},
      debug: () => {},
    },
  };
}

/** As another process would open it. */
function anotherPool(): DatabasePool {
  const pool = openDatabase(database.url, { maxConnections: 10, onIdleError: () => {} });
  otherPools.push(pool);
  return pool;
}

function event(fields: Partial<EventToTrack> = {}): EventToTrack {
  return { name: "viewitem", email: "jane@example.com", properties: {}, occurredAt, ...fields };
}
const confirmation = (
  properties: Record<string, unknown> = { orderId: "1001" },
  email = "jane@example.com",
) => event({ name: "confirmation", properties, email });

const track = (...events: EventToTrack[]) => trackEvents(contextOn(database.db), defaultProjectId, events);

type StoredRow = { id: string; owner_id: string; discarded: string | null; detail: Record<string, unknown> };
const storedEvents = () =>
  database.db.query<StoredRow>("select id, owner_id, discarded, detail from events order by created_at, id");
const deliveries = () =>
  database.db.query<{
    endpoint_id: string;
    event_id: string;
    event_type: string;
    state: string;
    body: string;
  }>("select endpoint_id, event_id, event_type, state, body from deliveries order by created_at, id");
const orders = () => database.db.query("select project_id, order_id, event_id from orders order by order_id");

describe("trackEvents", () => {
  test("stores an event of a recipient, owes it to the subscribers and wakes their lanes", async () => {
    await addEndpoint(["email.open"]);
    const [tracked] = await track(event({ properties: { item: "Ünï", list: [1] } }));

    const { eventId, recipientId, ...outcome } = tracked!;
    expect(outcome).toEqual({ isNewRecipient: true, discarded: null, kept: null });
    expect(timeOfId(eventId)).toBe(occurredAt.getTime());
    expect(
      await database.db.query(
        "select project_id, owner_id, id, type, name, occurred_at, detail, discarded from events",
      ),
    ).toEqual([
      {
        project_id: defaultProjectId,
        owner_id: recipientId,
        id: eventId,
        type: "custom",
        name: "viewitem",
        occurred_at: occurredAt,
        detail: { properties: { item: "Ünï", list: [1] } },
        discarded: null,
      },
    ]);
    expect(await database.db.query("select project_id, id, address from recipients")).toEqual([
      { project_id: defaultProjectId, id: recipientId, address: "jane@example.com" },
    ]);
    const [delivery, ...others] = await deliveries();
    expect(others).toEqual([]);
    expect(delivery).toMatchObject({
      endpoint_id: endpointId,
      event_id: eventId,
      event_type: "event.tracked",
      state: "pending",
    });
    const [stored] = await database.db.query<{ created_at: Date }>("select created_at from events");
    expect(JSON.parse(delivery!.body)).toEqual({
      event: "event.tracked",
      timestamp: stored?.created_at.toISOString(),
      project_id: defaultProjectId,
      is_test: false,
      data: {
        event: "viewitem",
        email: "jane@example.com",
        recipient_id: recipientId,
        event_id: eventId,
        properties: { item: "Ünï", list: [1] },
        event_timestamp: occurredAt.toISOString(),
      },
    });
    expect(woken).toEqual([{ projectId: defaultProjectId, endpointId }]);
  });

  test("of 50 that confirm the same order at the same time in five pools, one counts", async () => {
    const contexts = Array.from({ length: 5 }, () => contextOn(anotherPool()));

    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, call) =>
        trackEvents(contexts[call % 5]!, defaultProjectId, [
          confirmation({ orderId: "1001" }, `${call % 7}@a.com`),
        ]),
      ),
    );

    const tracked = answers.flat();
    const counted = tracked.filter(({ discarded }) => discarded === null);
    const repeats = tracked.filter(({ discarded }) => discarded === "duplicate_order");
    expect([counted.length, repeats.length]).toEqual([1, 49]);
    const [{ eventId }] = counted as [(typeof counted)[0]];
    expect(counted[0]!.kept).toBeNull();
    expect(new Set(repeats.map(({ kept }) => kept))).toEqual(new Set([eventId]));
    const stored = await storedEvents();
    expect(stored).toHaveLength(50);
    expect(stored.filter(({ discarded }) => discarded === null).map(({ id }) => id)).toEqual([eventId]);
    expect(stored.filter(({ detail }) => detail["kept"] === eventId)).toHaveLength(49);
    expect((await deliveries()).map((owed) => [owed.event_id, owed.event_type])).toEqual([
      [eventId, "event.tracked"],
    ]);
    expect(await orders()).toEqual([{ project_id: defaultProjectId, order_id: "1001", event_id: eventId }]);
    expect(woken).toEqual([{ projectId: defaultProjectId, endpointId }]);
  });

  test("an order id is the same as text with blanks, as a number and inside `generic`", async () => {
    const [first] = await track(confirmation({ orderId: " 1001 " }));
    const [second] = await track(confirmation({ orderId: 1001 }));
    const [third] = await track(confirmation({ generic: { orderId: "1001" } }));
    const [another] = await track(confirmation({ orderId: "1002" }));

    expect(first!.discarded).toBeNull();
    for (const repeat of [second, third]) {
      expect(repeat).toMatchObject({ discarded: "duplicate_order", kept: first!.eventId });
    }
    expect(another!.discarded).toBeNull();
  });

  test("the same order of another project is another order", async () => {
    const [ours] = await track(confirmation());
    const [theirs] = await trackEvents(contextOn(database.db), otherProjectId, [confirmation()]);

    expect([ours!.discarded, theirs!.discarded]).toEqual([null, null]);
    expect(theirs!.recipientId).not.toBe(ours!.recipientId);
    expect(await orders()).toHaveLength(2);
    // The endpoint is of the first project.
    expect((await deliveries()).map(({ event_id }) => event_id)).toEqual([ours!.eventId]);
  });

  test("of two in one call the first of the list counts, whichever happened before", async () => {
    const earlier = { ...confirmation(), occurredAt: new Date("2026-11-20T09:00:00.000Z") };

    const [first, second] = await track(confirmation(), earlier);

    expect(first).toMatchObject({ isNewRecipient: true, discarded: null, kept: null });
    expect(second).toMatchObject({
      isNewRecipient: false,
      discarded: "duplicate_order",
      kept: first!.eventId,
    });
    expect(await deliveries()).toHaveLength(1);
  });

  test("a call that fails holds no order and leaves nothing", async () => {
    const failing: Database = {
      ...database.db,
      transaction: (work) =>
        database.db.transaction(async (tx) => {
          await work(tx);
          throw new Error("the connection broke");
        }),
    };
    await expect(
      trackEvents({ ...contextOn(database.db), db: failing }, defaultProjectId, [confirmation()]),
    ).rejects.toThrow("the connection broke");
    expect([await storedEvents(), await orders(), await deliveries(), woken]).toEqual([[], [], [], []]);

    const [tracked] = await track(confirmation());

    expect(tracked).toMatchObject({ isNewRecipient: true, discarded: null });
  });

  test("calls with the same orders and people in opposite order do not lock one another out", async () => {
    const list = Array.from({ length: 300 }, (_, number) =>
      confirmation({ orderId: number }, `${(number * 7) % 300}@a.com`),
    );
    const contexts = Array.from({ length: 4 }, () => contextOn(anotherPool()));

    const answers = await Promise.all(
      contexts.map((context, call) =>
        trackEvents(context, defaultProjectId, call % 2 ? list : list.toReversed()),
      ),
    );

    const counted = answers.flat().filter(({ discarded }) => discarded === null);
    expect(counted).toHaveLength(300);
    expect(new Set(counted.map(({ eventId }) => eventId))).toEqual(
      new Set((await deliveries()).map(({ event_id }) => event_id)),
    );
  });

  test("1,000 events take as many statements as 2", async () => {
    const statements = async (events: EventToTrack[]) => {
      let count = 0;
      const counting = (db: Database): Database => ({
        query(sql, params) {
          count++;
          return db.query(sql, params);
        },
        transaction: (work) => db.transaction((tx) => work(counting(tx))),
      });
      await trackEvents(contextOn(counting(database.db)), defaultProjectId, events);
      return count;
    };
    const many = (length: number) =>
      Array.from({ length }, (_, number) =>
        confirmation({ orderId: `${length}-${number}` }, `${length}-${number}@a.com`),
      );
    await track(event());

    const ofTwo = await statements(many(2));

    expect(await statements(many(1_000))).toBe(ofTwo);
    expect(ofTwo).toBeLessThanOrEqual(9);
    expect(await storedEvents()).toHaveLength(1_003);
  });

  test("a recipient is made once by 20 calls at the same time, and one of them says so", async () => {
    const contexts = Array.from({ length: 5 }, () => contextOn(anotherPool()));

    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, call) =>
        trackEvents(contexts[call % 5]!, defaultProjectId, [event(), event()]),
      ),
    );

    const tracked = answers.flat();
    expect(tracked.filter(({ isNewRecipient }) => isNewRecipient)).toHaveLength(1);
    expect(new Set(tracked.map(({ recipientId }) => recipientId)).size).toBe(1);
    expect(await database.db.query("select 1 from recipients")).toHaveLength(1);
    expect(await storedEvents()).toHaveLength(40);
  });

  test("events that are no confirmation, and confirmations of no order, are not limited", async () => {
    const tracked = await track(
      event({ name: "checkout", properties: { orderId: "1001" } }),
      event({ name: "checkout", properties: { orderId: "1001" } }),
      confirmation({ orderId: " " }),
      confirmation({}),
      confirmation({}),
    );

    expect(tracked.map(({ discarded }) => discarded)).toEqual([null, null, null, null, null]);
    expect(new Set(tracked.map(({ eventId }) => eventId)).size).toBe(5);
    expect(await orders()).toEqual([]);
    expect(await deliveries()).toHaveLength(5);
  });

  test("spellings of an address are one recipient", async () => {
    const tracked = await track(
      event({ email: "Jane@Bücher.example" }),
      event({ email: "jane@xn--bcher-kva.example" }),
      event({ email: "Jane Doe <JANE@BÜCHER.EXAMPLE>" }),
    );
    const [later] = await track(event({ email: " jane@bücher.example " }));

    expect(new Set([...tracked, later!].map(({ recipientId }) => recipientId)).size).toBe(1);
    expect(tracked.map(({ isNewRecipient }) => isNewRecipient)).toEqual([true, false, false]);
    expect(await database.db.query("select address from recipients")).toEqual([
      { address: "jane@xn--bcher-kva.example" },
    ]);
    for (const { body } of await deliveries()) {
      expect(JSON.parse(body).data.email).toBe("jane@xn--bcher-kva.example");
    }
  });

  test("what is told of the mailbox simulator is a test", async () => {
    await track(event({ email: "success@simulator.amazonses.com" }));

    expect((await deliveries()).map(({ body }) => JSON.parse(body).is_test)).toEqual([true]);
  });

  test("a disabled endpoint has it held, and its lane is not woken", async () => {
    await database.db.query("update webhook_endpoints set state = 'disabled'");

    await track(event());

    expect((await deliveries()).map(({ state }) => state)).toEqual(["held"]);
    expect(woken).toEqual([]);
  });

  test("answers in the order given, over several months", async () => {
    const times = ["2026-12-01T00:00:00.000Z", "2001-02-03T04:05:06.007Z", "2026-11-30T23:59:59.999Z"];

    const tracked = await track(...times.map((time) => event({ occurredAt: new Date(time) })));

    expect(tracked.map(({ eventId }) => new Date(timeOfId(eventId)).toISOString())).toEqual(times);
  });

  test("makes a partition anew that was dropped behind its back, and stores the event once", async () => {
    const context = contextOn(database.db);
    const time = new Date("2003-05-05T00:00:00.000Z");
    await trackEvents(context, defaultProjectId, [event({ occurredAt: time })]);
    await database.db.query("drop table events_2003_05");

    const [tracked] = await trackEvents(context, defaultProjectId, [{ ...confirmation(), occurredAt: time }]);

    expect(tracked).toMatchObject({ discarded: null });
    expect((await storedEvents()).map(({ id }) => id)).toEqual([tracked!.eventId]);
  });

  test("a lane that cannot be woken is logged; the events are stored", async () => {
    const queues = { wakeDeliver: () => Promise.reject(new Error("Redis is away")) };

    const tracked = await trackEvents({ ...contextOn(database.db), queues }, defaultProjectId, [event()]);

    expect(tracked).toHaveLength(1);
    expect(warnings).toEqual(["lanes not woken"]);
    expect(await deliveries()).toHaveLength(1);
  });

  test("refuses what is no address, naming the event and not the text, and stores nothing", async () => {
    await expect(track(event(), event({ email: "jane" }))).rejects.toThrow(
      "The email of event 1 is no address",
    );
    expect(await storedEvents()).toEqual([]);
  });

  test("nothing to store is nothing to do", async () => {
    expect(await track()).toEqual([]);
  });
});
