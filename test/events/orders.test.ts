import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { confirmOrders } from "../../src/events/custom-events.sql.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { until } from "../support/wait.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database?.drop());
beforeEach(async () => {
  await database.db.query("truncate orders");
});

const projectId = randomUUID();
const confirmation = (order_id: string, project_id = projectId) => ({
  project_id,
  order_id,
  event_id: randomUUID(),
});

const stored = () => database.db.query("select project_id, order_id, event_id from orders order by order_id");

async function untilOneWaits(): Promise<void> {
  await until("a transaction waits for another", async () => {
    const waiting = await database.db.query(
      "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return waiting.length > 0;
  });
}

/** Confirms in a transaction that stays open until `end` is called. */
function openConfirmation(row: ReturnType<typeof confirmation>) {
  let end: (error?: Error) => void = () => {};
  const ending = new Promise<void>((resolve, reject) => {
    end = (error) => (error ? reject(error) : resolve());
  });
  let confirmed: () => void = () => {};
  const isConfirmed = new Promise<void>((resolve) => {
    confirmed = resolve;
  });
  const done = database.db.transaction(async (tx) => {
    await confirmOrders(tx, [row]);
    confirmed();
    await ending;
  });
  return { isConfirmed, done, end };
}

describe("confirmOrders", () => {
  test("gives an order to the first event, and names it to those that follow", async () => {
    const [first, later, other] = [confirmation("1"), confirmation("1"), confirmation("2")];

    expect(await confirmOrders(database.db, [first])).toEqual(new Map([[first.event_id, first.event_id]]));
    expect(await confirmOrders(database.db, [later, other])).toEqual(
      new Map([
        [later.event_id, first.event_id],
        [other.event_id, other.event_id],
      ]),
    );
    expect(await stored()).toEqual([first, other]);
  });

  test("within a call the first of the list holds it, whatever the ids", async () => {
    const rows = Array.from({ length: 20 }, () => confirmation("1"));

    const holders = await confirmOrders(database.db, rows);

    expect(holders).toEqual(new Map(rows.map(({ event_id }) => [event_id, rows[0]!.event_id])));
    expect(await stored()).toEqual([rows[0]]);
  });

  test("projects are apart", async () => {
    const [one, other] = [confirmation("1"), confirmation("1", randomUUID())];

    const holders = await confirmOrders(database.db, [one, other]);

    expect([...holders.entries()].every(([event, holder]) => event === holder)).toBe(true);
    expect(await stored()).toHaveLength(2);
  });

  test("waits for another transaction, and sees what it has committed", async () => {
    const [first, second] = [confirmation("1"), confirmation("1")];
    const open = openConfirmation(first);
    await open.isConfirmed;
    const waiting = database.db.transaction((tx) => confirmOrders(tx, [second]));
    await untilOneWaits();

    open.end();

    await open.done;
    expect(await waiting).toEqual(new Map([[second.event_id, first.event_id]]));
    expect(await stored()).toEqual([first]);
  });

  test("a confirmation that is rolled back holds nothing: the one that waited does", async () => {
    const [first, second] = [confirmation("1"), confirmation("1")];
    const open = openConfirmation(first);
    const rolledBack = expect(open.done).rejects.toThrow("changed my mind");
    await open.isConfirmed;
    const waiting = database.db.transaction((tx) => confirmOrders(tx, [second]));
    await untilOneWaits();

    open.end(new Error("changed my mind"));

    await rolledBack;
    expect(await waiting).toEqual(new Map([[second.event_id, second.event_id]]));
    expect(await stored()).toEqual([second]);
  });

  test("lists in opposite order at the same time do not lock one another out", async () => {
    for (let round = 0; round < 10; round++) {
      const rows = Array.from({ length: 500 }, (_, order) => confirmation(`${round}/${order}`));
      const opposite = rows.toReversed().map((row) => ({ ...row, event_id: randomUUID() }));

      const [one, other] = await Promise.all(
        [rows, opposite].map((list) => database.db.transaction((tx) => confirmOrders(tx, list))),
      );

      const winners = new Set([...one!.values(), ...other!.values()]);
      expect(winners.size).toBe(500);
    }
  });
});
