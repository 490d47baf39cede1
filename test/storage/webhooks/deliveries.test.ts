import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/clock.ts";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import {
  cancelDeliveries,
  holdDeliveries,
  insertDeliveries,
  type NewDelivery,
} from "../../../src/storage/webhooks/deliveries.ts";
import { endpointsDue } from "../../../src/storage/webhooks/lanes.ts";
import {
  type FinishedDelivery,
  finishLease,
  leaseDue,
  releaseExpiredLeases,
} from "../../../src/storage/webhooks/leases.ts";
import { addEndpoint } from "../../../src/webhooks/add-endpoint.ts";
import { createSecretBox } from "../../../src/webhooks/secret-box.ts";
import { type TestDatabase, testDatabase } from "../../support/database.ts";

let database: TestDatabase;
const endpoint = { project_id: defaultProjectId, id: "", ordered: false };
const other = { project_id: defaultProjectId, id: "" };

beforeAll(async () => {
  database = await testDatabase();
  const context = { db: database.db, clock: systemClock, secretBox: createSecretBox([randomBytes(32)]) };
  for (const one of [endpoint, other]) {
    one.id = (await addEndpoint(context, defaultProjectId, "https://example.com/")).id;
  }
});
afterAll(() => database?.drop());
beforeEach(async () => {
  await database.db.query("truncate deliveries, attempts");
  await database.db.query("update webhook_endpoints set state = 'enabled'");
});

/** Stores a delivery that has been due for so many seconds. */
async function owe(dueForSeconds: number, fields: Partial<NewDelivery> = {}): Promise<string> {
  const id = randomUUID();
  const row = { project_id: defaultProjectId, id, endpoint_id: endpoint.id, event_id: randomUUID() };
  await insertDeliveries(database.db, [
    { ...row, event_type: "email.open", body: "{}", state: "pending", due_at: null, ...fields },
  ]);
  await database.db.query("update deliveries set due_at = now() - $2 * interval '1 second' where id = $1", [
    id,
    dueForSeconds,
  ]);
  return id;
}

const lease = (limit = 10, seconds = 60, id: string = randomUUID(), ordered = false) =>
  leaseDue(database.db, { ...endpoint, ordered }, { id, seconds, limit });

async function leasedIds(limit?: number): Promise<string[]> {
  return (await lease(limit)).map(({ id }) => id);
}

async function rowOf(id: string) {
  const [row] = await database.db.query(
    `select state, attempts, lease_id, lease_expires_at, finished_at is not null as finished,
       extract(epoch from due_at - now())::integer as due_in from deliveries where id = $1`,
    [id],
  );
  return row;
}

const idle = { lease_id: null, lease_expires_at: null };

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
    await owe(10, { endpoint_id: other.id });
    const finished = await owe(10);
    await database.db.query("update deliveries set state = 'succeeded' where id = $1", [finished]);

    expect(await leasedIds()).toEqual([]);
  });

  test("gives two processes that ask at once different deliveries", async () => {
    const owed = await Promise.all(Array.from({ length: 10 }, () => owe(10)));

    const taken = await Promise.all([leasedIds(5), leasedIds(5)]);

    expect(taken.flat().sort()).toEqual(owed.sort());
  });

  test("does not wait for a delivery that another transaction holds", async () => {
    const [held, free] = [await owe(20), await owe(10)];

    await database.db.transaction(async (tx) => {
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

    await database.db.transaction(async (tx) => {
      await finishLease(tx, endpoint, leaseId, [
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
    const attempts = await database.db.query("select * from attempts where delivery_id = $1", [ids[1]]);
    expect(attempts).toEqual([
      { project_id: defaultProjectId, delivery_id: ids[1], is_manual: false, ...failed },
    ]);
    expect(await database.db.query("select 1 from attempts")).toHaveLength(3);
  });

  test("does not touch a delivery that another process has taken since, but lists the attempt", async () => {
    const id = await owe(10);
    const [mine, theirs] = [randomUUID(), randomUUID()];
    await lease(1, -1, mine);
    await releaseExpiredLeases(database.db);
    await lease(1, 60, theirs);

    await finishLease(database.db, endpoint, mine, [outcome(id, exhausted)]);

    expect(await rowOf(id)).toMatchObject({
      state: "leased",
      lease_id: theirs,
      attempts: 0,
      finished: false,
    });
    expect(await database.db.query("select 1 from attempts where delivery_id = $1", [id])).toHaveLength(1);
  });

  test("does not bring back a delivery that was cancelled while it was being posted", async () => {
    const id = await owe(10);
    const leaseId = randomUUID();
    await lease(1, 60, leaseId);
    expect(
      await cancelDeliveries(database.db, { project_id: endpoint.project_id, id: endpoint.id }, 10),
    ).toBe(1);

    await finishLease(database.db, endpoint, leaseId, [outcome(id, retrying)]);

    expect(await rowOf(id)).toMatchObject({ state: "cancelled" });
  });

  test("writes nothing of a turn when one part of it cannot be written", async () => {
    const id = await owe(10);
    const leaseId = randomUUID();
    await lease(1, 60, leaseId);
    const twice = attempt(1);

    await expect(
      database.db.transaction((tx) =>
        finishLease(tx, endpoint, leaseId, [
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

    await finishLease(database.db, { ...endpoint, ordered: true }, leaseId, [outcome(first, retrying)]);

    // What failed is the first one again: its place does not change.
    expect((await lease(1, 60, randomUUID(), true)).map(({ id }) => id)).toEqual([first]);
  });

  test("is owed an event that lies ahead now", async () => {
    const id = randomUUID();
    const row = { project_id: defaultProjectId, id, endpoint_id: endpoint.id, event_id: randomUUID() };
    const dueAt = new Date(Date.now() + 3_600_000);
    await insertDeliveries(database.db, [
      { ...row, event_type: "email.open", body: "{}", state: "pending", due_at: dueAt },
    ]);

    expect((await lease()).map((one) => one.id)).toEqual([id]);
  });
});

describe("holdDeliveries and cancelDeliveries", () => {
  test("take what is open of their endpoint, so many at a time", async () => {
    const ids = [await owe(10), await owe(20), await owe(30)];
    const others = await owe(10, { endpoint_id: other.id });
    const finished = await owe(10);
    await database.db.query("update deliveries set state = 'succeeded' where id = $1", [finished]);

    expect(await holdDeliveries(database.db, endpoint, 2)).toBe(2);
    expect(await holdDeliveries(database.db, endpoint, 2)).toBe(1);
    expect(await holdDeliveries(database.db, endpoint, 2)).toBe(0);
    for (const id of ids) expect(await rowOf(id)).toMatchObject({ state: "held" });

    await owe(10);
    await lease();
    expect(await cancelDeliveries(database.db, endpoint, 10)).toBe(4);
    for (const id of ids)
      expect(await rowOf(id)).toMatchObject({ ...idle, state: "cancelled", finished: true });
    expect(await rowOf(others)).toMatchObject({ state: "pending" });
    expect(await rowOf(finished)).toMatchObject({ state: "succeeded" });
  });
});

describe("releaseExpiredLeases", () => {
  test("makes due again what nobody finished in time, and only that", async () => {
    const expired = await owe(10);
    await lease(1, -1);
    const running = await owe(10);
    await lease(1, 60);

    expect(await releaseExpiredLeases(database.db)).toBe(1);

    expect(await rowOf(expired)).toMatchObject({ ...idle, state: "retrying", attempts: 0 });
    expect(await rowOf(running)).toMatchObject({ state: "leased" });
    expect(await leasedIds()).toEqual([expired]);
  });
});

describe("endpointsDue", () => {
  const due = async () => (await endpointsDue(database.db)).map(({ endpointId }) => endpointId);

  test("names each endpoint that is owed something now, once", async () => {
    await owe(10);
    await owe(20);
    expect(await endpointsDue(database.db)).toEqual([
      { projectId: defaultProjectId, endpointId: endpoint.id },
    ]);
    await owe(10, { endpoint_id: other.id });
    expect((await due()).sort()).toEqual([endpoint.id, other.id].sort());
  });

  test("leaves out those whose deliveries are leased, held or not yet due", async () => {
    await owe(10);
    await lease();
    await owe(10, { state: "held" });
    await owe(-60);
    expect(await due()).toEqual([]);
  });

  test("leaves out one whose lane rests", async () => {
    await owe(10);
    const pause = (seconds: number) =>
      database.db.query("update webhook_lanes set paused_until = now() + $1 * interval '1 second'", [
        seconds,
      ]);
    await pause(60);
    expect(await due()).toEqual([]);
    await pause(-1);
    expect(await due()).toEqual([endpoint.id]);
  });

  test("leaves out a disabled endpoint", async () => {
    await owe(10);
    await database.db.query("update webhook_endpoints set state = 'disabled' where id = $1", [endpoint.id]);
    expect(await due()).toEqual([]);
  });
});

test("a delivery that is there stays as it is when it is owed again", async () => {
  const id = await owe(10);
  await lease();

  await owe(10, { id, body: "another" });

  const rows = await database.db.query("select state, body from deliveries");
  expect(rows).toEqual([{ state: "leased", body: "{}" }]);
});
