import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/storage/database.ts";
import { findOrMakeRecipients } from "../../src/storage/recipients.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { until } from "../support/wait.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database?.drop());
beforeEach(async () => {
  await database.db.query("truncate recipients");
});

const projectId = randomUUID();
const wanted = (address: string, project_id = projectId) => ({ project_id, id: randomUUID(), address });
const find = (...rows: ReturnType<typeof wanted>[]) =>
  database.db.transaction((tx) => findOrMakeRecipients(tx, rows));
const count = async () => (await database.db.query("select 1 from recipients")).length;

describe("findOrMakeRecipients", () => {
  test("makes those that are not there, and finds the others", async () => {
    const [jane, joe] = [wanted("jane@example.com"), wanted("joe@example.com")];
    expect(await find(jane)).toEqual([{ ...jane, is_new: true }]);

    const found = await find(joe, wanted("jane@example.com"));

    expect(found).toHaveLength(2);
    expect(found).toEqual(
      expect.arrayContaining([
        { ...jane, is_new: false },
        { ...joe, is_new: true },
      ]),
    );
  });

  test("makes one of an address that is asked for twice", async () => {
    expect(await find(wanted("jane@example.com"), wanted("jane@example.com"))).toHaveLength(1);
    expect(await count()).toBe(1);
  });

  test("projects are apart", async () => {
    const other = wanted("jane@example.com", randomUUID());
    await find(wanted("jane@example.com"));

    expect(await find(other)).toEqual([{ ...other, is_new: true }]);
  });

  test("20 calls at the same time make each once, and one of them is told", async () => {
    const addresses = Array.from({ length: 50 }, (_, number) => `person-${number}@example.com`);

    const calls = await Promise.all(
      Array.from({ length: 20 }, (_, call) =>
        find(...(call % 2 ? addresses : addresses.toReversed()).map((address) => wanted(address))),
      ),
    );

    expect(await count()).toBe(50);
    expect(new Set(calls.flat().map(({ id }) => id)).size).toBe(50);
    expect(calls.flat().filter(({ is_new }) => is_new)).toHaveLength(50);
  });

  test("lists in opposite order at the same time do not lock one another out", async () => {
    for (let round = 0; round < 10; round++) {
      const addresses = Array.from({ length: 500 }, (_, number) => `${round}-${number}@example.com`);
      const [one, other] = await Promise.all(
        [addresses, addresses.toReversed()].map((list) => find(...list.map((address) => wanted(address)))),
      );
      expect(new Set([...one!, ...other!].map(({ id }) => id)).size).toBe(500);
    }
  });

  test("makes one anew that is deleted between its two statements", async () => {
    await find(wanted("jane@example.com"));
    const again = wanted("jane@example.com");

    const found = await database.db.transaction((tx) => {
      let isDeleted = false;
      const interrupted: Database = {
        ...tx,
        async query(sql, params) {
          if (sql.startsWith("select") && !isDeleted) {
            isDeleted = true;
            await database.db.query("delete from recipients");
          }
          return tx.query(sql, params);
        },
      };
      return findOrMakeRecipients(interrupted, [again]);
    });

    expect(found).toEqual([{ ...again, is_new: true }]);
  });

  test("none is deleted before the transaction that found it has ended", async () => {
    await find(wanted("jane@example.com"));
    let deletion: Promise<unknown> = Promise.resolve();
    await database.db.transaction(async (tx) => {
      await findOrMakeRecipients(tx, [wanted("jane@example.com")]);
      deletion = database.db.query("delete from recipients");
      await until("the deletion waits", async () => {
        const waiting = await tx.query(
          "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        return waiting.length > 0;
      });
      expect(await tx.query("select 1 from recipients")).toHaveLength(1);
    });
    await deletion;
    expect(await count()).toBe(0);
  });
});
