import { expect, test } from "vitest";
import { timeOfId } from "../../src/domain/computed-id.ts";
import { type EventToTrack, trackEvents } from "../../src/events/track-events.ts";
import type { Database } from "../../src/storage/database.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import {
  addEndpoint,
  anotherPool,
  confirmation,
  contextOn,
  database,
  deliveries,
  endpointId,
  event,
  occurredAt,
  setUp,
  storedEvents,
  track,
  warnings,
  woken,
} from "./tracking.ts";

setUp();

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
