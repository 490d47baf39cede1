import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  endpointsDue,
  type FinishedAttempt,
  finishLease,
  insertDeliveries,
  leaseDue,
  type NewDelivery,
  releaseExpiredLeases,
} from "../../src/storage/deliveries.ts";
import { insertEndpoint } from "../../src/storage/endpoints.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let database: TestDatabase;
const endpoint = { project_id: defaultProjectId, id: randomUUID() };
const other = { project_id: defaultProjectId, id: randomUUID() };

beforeAll(async () => {
  database = await testDatabase();
  for (const { id } of [endpoint, other]) {
    await insertEndpoint(database.db, {
      project_id: defaultProjectId,
      id,
      url: "https://example.com/",
      event_types: ["*"],
      description: null,
      secret: { id: randomUUID(), sealed: Buffer.from("sealed") },
    });
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
    { ...row, event_type: "email.open", body: "{}", state: "pending", ...fields },
  ]);
  await database.db.query("update deliveries set due_at = now() - $2 * interval '1 second' where id = $1", [
    id,
    dueForSeconds,
  ]);
  return id;
}

const lease = (limit = 10, seconds = 60, id: string = randomUUID()) =>
  leaseDue(database.db, endpoint, { id, seconds, limit });

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

function outcome(deliveryId: string, fields: Partial<FinishedAttempt> = {}): FinishedAttempt {
  return { delivery_id: deliveryId, state: "succeeded", delay_ms: 0, attempt: attempt(1), ...fields };
}

function attempt(number: number, fields: Partial<NonNullable<FinishedAttempt["attempt"]>> = {}) {
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

    expect(await lease()).toEqual([{ id, event_id: eventId, body: '{"type":"email.open"}', attempts: 0 }]);
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
    const failed = attempt(1, { status: null, failure: "timeout", message: "timed out", excerpt: null });

    await database.db.transaction(async (tx) => {
      await finishLease(tx, defaultProjectId, leaseId, [
        outcome(ids[0]),
        outcome(ids[1], { state: "retrying", delay_ms: 30_000, attempt: failed }),
        outcome(ids[2], { state: "exhausted" }),
        outcome(ids[3], { state: "pending", attempt: null }),
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
    expect(attempts).toEqual([{ project_id: defaultProjectId, delivery_id: ids[1], ...failed }]);
    expect(await database.db.query("select 1 from attempts")).toHaveLength(3);
  });

  test("does not touch a delivery that another process has taken since, but lists the attempt", async () => {
    const id = await owe(10);
    const [mine, theirs] = [randomUUID(), randomUUID()];
    await lease(1, -1, mine);
    await releaseExpiredLeases(database.db);
    await lease(1, 60, theirs);

    await finishLease(database.db, defaultProjectId, mine, [outcome(id, { state: "exhausted" })]);

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
    await database.db.query("update deliveries set state = 'cancelled' where id = $1", [id]);

    await finishLease(database.db, defaultProjectId, leaseId, [outcome(id, { state: "retrying" })]);

    expect(await rowOf(id)).toMatchObject({ state: "cancelled" });
  });

  test("writes nothing of a turn when one part of it cannot be written", async () => {
    const id = await owe(10);
    const leaseId = randomUUID();
    await lease(1, 60, leaseId);
    const twice = attempt(1);

    await expect(
      finishLease(database.db, defaultProjectId, leaseId, [
        outcome(id, { attempt: twice }),
        outcome(id, { attempt: twice }),
      ]),
    ).rejects.toThrow(/duplicate key/);

    expect(await rowOf(id)).toMatchObject({ state: "leased", lease_id: leaseId });
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
  const due = async () => (await endpointsDue(database.db)).map(({ id }) => id);

  test("names each endpoint that is owed something now, once", async () => {
    await owe(10);
    await owe(20);
    expect(await endpointsDue(database.db)).toEqual([endpoint]);
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
