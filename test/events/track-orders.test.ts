import { expect, test } from "vitest";
import { trackEvents } from "../../src/events/track-events.ts";
import type { Database } from "../../src/storage/database.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import {
  anotherPool,
  confirmation,
  contextOn,
  database,
  deliveries,
  endpointId,
  event,
  orders,
  otherProjectId,
  setUp,
  storedEvents,
  track,
  woken,
} from "./tracking.ts";

setUp();

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
