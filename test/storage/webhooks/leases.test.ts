import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { cancelDeliveries, insertDeliveries } from "../../../src/storage/webhooks/deliveries.ts";
import {
  type FinishedDelivery,
  finishLease,
  releaseExpiredLeases,
} from "../../../src/storage/webhooks/leases.ts";
import { idle, test } from "./owed-deliveries.ts";

function outcome(deliveryId: string, fields: Partial<FinishedDelivery> = {}): FinishedDelivery {
  return { delivery_id: deliveryId, outcome: { state: "succeeded" }, attempt: attempt(1), ...fields };
}

const retrying = { outcome: { state: "retrying", delayMs: 30_000 } } as const;
const exhausted = { outcome: { state: "exhausted" } } as const;

function attempt(number: number, fields: Partial<NonNullable<FinishedDelivery["attempt"]>> = {}) {
  return {
    id: randomUUID(),
    number,
    started_at: new Date("2026-11-22T10:00:00.000Z"),
    duration_ms: 12,
    status: 200,
    failure: null,
    message: null,
    excerpt: "ok",
    ...fields,
  };
}

describe("leaseDue", () => {
  test("takes what is due, with what a post needs", async ({ owed }) => {
    const eventId = randomUUID();
    const id = await owed.owe(1, { event_id: eventId, body: '{"type":"email.open"}' });

    expect(await owed.lease()).toMatchObject([
      { id, event_id: eventId, body: '{"type":"email.open"}', attempts: 0, schedule_step: 0 },
    ]);
    expect(await owed.rowOf(id)).toMatchObject({ state: "leased", finished: false });
  });

  test("takes the longest due first, as many as the limit says", async ({ owed }) => {
    const [late, later, latest] = [await owed.owe(10), await owed.owe(20), await owed.owe(30)];

    expect([
      await owed.leasedIds(1),
      await owed.leasedIds(1),
      await owed.leasedIds(1),
      await owed.leasedIds(1),
    ]).toEqual([[latest], [later], [late], []]);
  });

  test("leaves what is leased, not yet due, held, finished, or another endpoint's", async ({ owed }) => {
    await owed.owe(10);
    await owed.lease();
    await owed.owe(-60);
    await owed.owe(10, { state: "held" });
    await owed.owe(10, { endpoint_id: owed.other.id });
    const finished = await owed.owe(10);
    await owed.db.query("update deliveries set state = 'succeeded' where id = $1", [finished]);

    expect(await owed.leasedIds()).toEqual([]);
  });

  test("gives two processes that ask at once different deliveries", async ({ owed }) => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => owed.owe(10)));

    const taken = await Promise.all([owed.leasedIds(5), owed.leasedIds(5)]);

    expect(taken.flat().sort()).toEqual(ids.sort());
  });

  test("does not wait for a delivery that another transaction holds", async ({ owed }) => {
    const [held, free] = [await owed.owe(20), await owed.owe(10)];

    await owed.db.transaction(async (tx) => {
      await tx.query("select 1 from deliveries where id = $1 for update", [held]);
      expect(await owed.leasedIds()).toEqual([free]);
    });
  });
});

describe("finishLease", () => {
  test("writes each outcome of a turn, and every attempt", async ({ owed }) => {
    const ids = [await owed.owe(40), await owed.owe(30), await owed.owe(20), await owed.owe(10)] as const;
    const leaseId = randomUUID();
    await owed.lease(10, 60, leaseId);
    const failed = attempt(1, {
      status: null,
      failure: "timeout" as const,
      message: "timed out",
      excerpt: null,
    });

    await owed.db.transaction(async (tx) => {
      await finishLease(tx, owed.endpoint, leaseId, [
        outcome(ids[0]),
        outcome(ids[1], { ...retrying, attempt: failed }),
        outcome(ids[2], exhausted),
        outcome(ids[3], { outcome: { state: "released", delayMs: 0 }, attempt: null }),
      ]);
      const [row] = await tx.query(
        "select extract(epoch from due_at - now())::integer as due_in from deliveries where id = $1",
        [ids[1]],
      );
      expect(row).toEqual({ due_in: 30 });
    });

    expect(await owed.rowOf(ids[0])).toMatchObject({
      ...idle,
      state: "succeeded",
      attempts: 1,
      finished: true,
    });
    expect(await owed.rowOf(ids[1])).toMatchObject({
      ...idle,
      state: "retrying",
      attempts: 1,
      finished: false,
    });
    expect(await owed.rowOf(ids[2])).toMatchObject({
      ...idle,
      state: "exhausted",
      attempts: 1,
      finished: true,
    });
    expect(await owed.rowOf(ids[3])).toMatchObject({
      ...idle,
      state: "pending",
      attempts: 0,
      finished: false,
    });
    const attempts = await owed.db.query("select * from attempts where delivery_id = $1", [ids[1]]);
    expect(attempts).toEqual([
      { project_id: owed.endpoint.project_id, delivery_id: ids[1], is_manual: false, ...failed },
    ]);
    expect(await owed.db.query("select 1 from attempts where delivery_id = any($1)", [ids])).toHaveLength(3);
  });

  test("does not touch a delivery that another process has taken since, but lists the attempt", async ({
    owed,
  }) => {
    const id = await owed.owe(10);
    const [mine, theirs] = [randomUUID(), randomUUID()];
    await owed.lease(1, -1, mine);
    await releaseExpiredLeases(owed.db);
    await owed.lease(1, 60, theirs);

    await finishLease(owed.db, owed.endpoint, mine, [outcome(id, exhausted)]);

    expect(await owed.rowOf(id)).toMatchObject({
      state: "leased",
      lease_id: theirs,
      attempts: 0,
      finished: false,
    });
    expect(await owed.db.query("select 1 from attempts where delivery_id = $1", [id])).toHaveLength(1);
  });

  test("does not bring back a delivery that was cancelled while it was being posted", async ({ owed }) => {
    const id = await owed.owe(10);
    const leaseId = randomUUID();
    await owed.lease(1, 60, leaseId);
    expect(
      await cancelDeliveries(owed.db, { project_id: owed.endpoint.project_id, id: owed.endpoint.id }, 10),
    ).toBe(1);

    await finishLease(owed.db, owed.endpoint, leaseId, [outcome(id, retrying)]);

    expect(await owed.rowOf(id)).toMatchObject({ state: "cancelled" });
  });

  test("writes nothing of a turn when one part of it cannot be written", async ({ owed }) => {
    const id = await owed.owe(10);
    const leaseId = randomUUID();
    await owed.lease(1, 60, leaseId);
    const twice = attempt(1);

    await expect(
      owed.db.transaction((tx) =>
        finishLease(tx, owed.endpoint, leaseId, [
          outcome(id, { attempt: twice }),
          outcome(id, { attempt: twice }),
        ]),
      ),
    ).rejects.toThrow(/duplicate key/);

    expect(await owed.rowOf(id)).toMatchObject({ state: "leased", lease_id: leaseId });
  });
});

describe("an ordered endpoint", () => {
  test("gives nothing while something of it is on its way", async ({ owed }) => {
    const first = await owed.owe(20);
    await owed.owe(10);
    const leaseId = randomUUID();
    expect((await owed.lease(1, 60, leaseId, true)).map(({ id }) => id)).toEqual([first]);
    expect(await owed.lease(10, 60, randomUUID(), true)).toEqual([]);

    await finishLease(owed.db, { ...owed.endpoint, ordered: true }, leaseId, [outcome(first, retrying)]);

    // What failed is the first one again: its place does not change.
    expect((await owed.lease(1, 60, randomUUID(), true)).map(({ id }) => id)).toEqual([first]);
  });

  test("gets an event from the future now", async ({ owed }) => {
    const id = randomUUID();
    const row = {
      project_id: owed.endpoint.project_id,
      id,
      endpoint_id: owed.endpoint.id,
      event_id: randomUUID(),
    };
    const dueAt = new Date(Date.now() + 3_600_000);
    await insertDeliveries(owed.db, [
      { ...row, event_type: "email.open", body: "{}", state: "pending", due_at: dueAt },
    ]);

    expect((await owed.lease()).map((one) => one.id)).toEqual([id]);
  });
});

describe("releaseExpiredLeases", () => {
  test("makes expired deliveries due again, and no others", async ({ owed }) => {
    const expired = await owed.owe(10);
    await owed.lease(1, -1);
    const running = await owed.owe(10);
    await owed.lease(1, 60);

    expect(await releaseExpiredLeases(owed.db)).toBe(1);

    expect(await owed.rowOf(expired)).toMatchObject({ ...idle, state: "retrying", attempts: 0 });
    expect(await owed.rowOf(running)).toMatchObject({ state: "leased" });
    expect(await owed.leasedIds()).toEqual([expired]);
  });
});
