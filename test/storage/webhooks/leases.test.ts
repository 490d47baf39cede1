import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import { cancelDeliveries, insertDeliveries } from "../../../src/storage/webhooks/deliveries.ts";
import {
  type FinishedDelivery,
  finishLease,
  releaseExpiredLeases,
} from "../../../src/storage/webhooks/leases.ts";
import { idle, OwedDeliveries } from "./owed-deliveries.ts";

const owed = new OwedDeliveries();
const { owe, lease, leasedIds, rowOf } = owed;

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
  test("takes what is due, with what a post needs", async () => {
    const eventId = randomUUID();
    const id = await owe(1, { event_id: eventId, body: '{"type":"email.open"}' });

    expect(await lease()).toMatchObject([
      { id, event_id: eventId, body: '{"type":"email.open"}', attempts: 0, schedule_step: 0 },
    ]);
    expect(await rowOf(id)).toMatchObject({ state: "leased", finished: false });
  });

  test("takes the longest due first, as many as the limit says", async () => {
    const [late, later, latest] = [await owe(10), await owe(20), await owe(30)];

    expect([await leasedIds(1), await leasedIds(1), await leasedIds(1), await leasedIds(1)]).toEqual([
      [latest],
      [later],
      [late],
      [],
    ]);
  });

  test("leaves what is leased, not yet due, held, finished, or another endpoint's", async () => {
    await owe(10);
    await lease();
    await owe(-60);
    await owe(10, { state: "held" });
    await owe(10, { endpoint_id: owed.other.id });
    const finished = await owe(10);
    await owed.database.db.query("update deliveries set state = 'succeeded' where id = $1", [finished]);

    expect(await leasedIds()).toEqual([]);
  });

  test("gives two processes that ask at once different deliveries", async () => {
    const owed = await Promise.all(Array.from({ length: 10 }, () => owe(10)));

    const taken = await Promise.all([leasedIds(5), leasedIds(5)]);

    expect(taken.flat().sort()).toEqual(owed.sort());
  });

  test("does not wait for a delivery that another transaction holds", async () => {
    const [held, free] = [await owe(20), await owe(10)];

    await owed.database.db.transaction(async (tx) => {
      await tx.query("select 1 from deliveries where id = $1 for update", [held]);
      expect(await leasedIds()).toEqual([free]);
    });
  });
});

describe("finishLease", () => {
  test("writes each outcome of a turn, and every attempt", async () => {
    const ids = [await owe(40), await owe(30), await owe(20), await owe(10)] as const;
    const leaseId = randomUUID();
    await lease(10, 60, leaseId);
    const failed = attempt(1, {
      status: null,
      failure: "timeout" as const,
      message: "timed out",
      excerpt: null,
    });

    await owed.database.db.transaction(async (tx) => {
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

    expect(await rowOf(ids[0])).toMatchObject({ ...idle, state: "succeeded", attempts: 1, finished: true });
    expect(await rowOf(ids[1])).toMatchObject({ ...idle, state: "retrying", attempts: 1, finished: false });
    expect(await rowOf(ids[2])).toMatchObject({ ...idle, state: "exhausted", attempts: 1, finished: true });
    expect(await rowOf(ids[3])).toMatchObject({ ...idle, state: "pending", attempts: 0, finished: false });
    const attempts = await owed.database.db.query("select * from attempts where delivery_id = $1", [ids[1]]);
    expect(attempts).toEqual([
      { project_id: defaultProjectId, delivery_id: ids[1], is_manual: false, ...failed },
    ]);
    expect(await owed.database.db.query("select 1 from attempts")).toHaveLength(3);
  });

  test("does not touch a delivery that another process has taken since, but lists the attempt", async () => {
    const id = await owe(10);
    const [mine, theirs] = [randomUUID(), randomUUID()];
    await lease(1, -1, mine);
    await releaseExpiredLeases(owed.database.db);
    await lease(1, 60, theirs);

    await finishLease(owed.database.db, owed.endpoint, mine, [outcome(id, exhausted)]);

    expect(await rowOf(id)).toMatchObject({
      state: "leased",
      lease_id: theirs,
      attempts: 0,
      finished: false,
    });
    expect(await owed.database.db.query("select 1 from attempts where delivery_id = $1", [id])).toHaveLength(
      1,
    );
  });

  test("does not bring back a delivery that was cancelled while it was being posted", async () => {
    const id = await owe(10);
    const leaseId = randomUUID();
    await lease(1, 60, leaseId);
    expect(
      await cancelDeliveries(
        owed.database.db,
        { project_id: owed.endpoint.project_id, id: owed.endpoint.id },
        10,
      ),
    ).toBe(1);

    await finishLease(owed.database.db, owed.endpoint, leaseId, [outcome(id, retrying)]);

    expect(await rowOf(id)).toMatchObject({ state: "cancelled" });
  });

  test("writes nothing of a turn when one part of it cannot be written", async () => {
    const id = await owe(10);
    const leaseId = randomUUID();
    await lease(1, 60, leaseId);
    const twice = attempt(1);

    await expect(
      owed.database.db.transaction((tx) =>
        finishLease(tx, owed.endpoint, leaseId, [
          outcome(id, { attempt: twice }),
          outcome(id, { attempt: twice }),
        ]),
      ),
    ).rejects.toThrow(/duplicate key/);

    expect(await rowOf(id)).toMatchObject({ state: "leased", lease_id: leaseId });
  });
});

describe("an ordered endpoint", () => {
  test("gives nothing while something of it is on its way", async () => {
    const first = await owe(20);
    await owe(10);
    const leaseId = randomUUID();
    expect((await lease(1, 60, leaseId, true)).map(({ id }) => id)).toEqual([first]);
    expect(await lease(10, 60, randomUUID(), true)).toEqual([]);

    await finishLease(owed.database.db, { ...owed.endpoint, ordered: true }, leaseId, [
      outcome(first, retrying),
    ]);

    // What failed is the first one again: its place does not change.
    expect((await lease(1, 60, randomUUID(), true)).map(({ id }) => id)).toEqual([first]);
  });

  test("gets an event from the future now", async () => {
    const id = randomUUID();
    const row = { project_id: defaultProjectId, id, endpoint_id: owed.endpoint.id, event_id: randomUUID() };
    const dueAt = new Date(Date.now() + 3_600_000);
    await insertDeliveries(owed.database.db, [
      { ...row, event_type: "email.open", body: "{}", state: "pending", due_at: dueAt },
    ]);

    expect((await lease()).map((one) => one.id)).toEqual([id]);
  });
});

describe("releaseExpiredLeases", () => {
  test("makes expired deliveries due again, and no others", async () => {
    const expired = await owe(10);
    await lease(1, -1);
    const running = await owe(10);
    await lease(1, 60);

    expect(await releaseExpiredLeases(owed.database.db)).toBe(1);

    expect(await rowOf(expired)).toMatchObject({ ...idle, state: "retrying", attempts: 0 });
    expect(await rowOf(running)).toMatchObject({ state: "leased" });
    expect(await leasedIds()).toEqual([expired]);
  });
});
