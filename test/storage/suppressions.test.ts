import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openDatabase } from "../../src/storage/database.ts";
import { type NewSuppression, suppress } from "../../src/storage/suppressions.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database?.drop());
beforeEach(async () => {
  await database.db.query("truncate suppressions");
});

const projectId = randomUUID();
const at = (day: number) => new Date(Date.UTC(2026, 10, day));

function suppression(fields: Partial<NewSuppression> = {}): NewSuppression {
  return {
    project_id: projectId,
    address: "jane@example.com",
    reason: "bounce",
    source_event_id: randomUUID(),
    since: at(5),
    ...fields,
  };
}

const ids = (...rows: NewSuppression[]) => new Set(rows.map(({ source_event_id }) => source_event_id));
const stored = () =>
  database.db.query(
    "select project_id, address, reason, source_event_id, since from suppressions order by address, since",
  );

describe("suppress", () => {
  test("stores addresses as they are, and returns the events of all that are new", async () => {
    const [one, two] = [suppression(), suppression({ address: "joe@example.com", reason: "complaint" })];

    expect(await suppress(database.db, [two, one])).toEqual(ids(one, two));
    expect(await stored()).toEqual([one, two]);
  });

  test("an event that happened earlier takes the place of a later one, and is not new", async () => {
    await suppress(database.db, [suppression()]);
    const earlier = suppression({ reason: "complaint", since: at(4) });

    expect(await suppress(database.db, [earlier])).toEqual(new Set());
    expect(await stored()).toEqual([earlier]);
  });

  test("an event that happened later changes nothing", async () => {
    const first = suppression();
    await suppress(database.db, [first]);

    const added = await suppress(database.db, [suppression({ reason: "complaint", since: at(6) })]);

    expect(added).toEqual(new Set());
    expect(await stored()).toEqual([first]);
  });

  test("of two events of the same time the lesser id stands, in whatever order they come", async () => {
    const lesser = suppression({ source_event_id: "00000000-0000-4000-8000-000000000001" });
    const greater = suppression({ source_event_id: "00000000-0000-4000-8000-000000000002" });

    await suppress(database.db, [greater]);
    await suppress(database.db, [lesser]);
    await suppress(database.db, [greater]);

    expect(await stored()).toEqual([lesser]);
  });

  test("of several events for an address in a call the earliest stands, and is the only new one", async () => {
    const earliest = suppression({ since: at(3), reason: "complaint" });
    const rows = [suppression({ since: at(4) }), earliest, suppression({ since: at(5) })];

    expect(await suppress(database.db, rows)).toEqual(ids(earliest));
    expect(await stored()).toEqual([earliest]);
  });

  test("one that was made by hand stays, though events were earlier and later", async () => {
    const byHand = { ...suppression(), reason: "manual", source_event_id: null };
    await database.db.query(
      "insert into suppressions (project_id, address, reason, since) values ($1, $2, $3, $4)",
      [byHand.project_id, byHand.address, byHand.reason, byHand.since],
    );

    const added = [
      await suppress(database.db, [suppression({ since: at(1) })]),
      await suppress(database.db, [suppression({ since: at(9) })]),
    ];

    expect(added).toEqual([new Set(), new Set()]);
    expect(await stored()).toEqual([byHand]);
  });

  test("projects are apart", async () => {
    const [mine, theirs] = [suppression(), suppression({ project_id: randomUUID(), since: at(6) })];
    await suppress(database.db, [mine]);

    expect(await suppress(database.db, [theirs])).toEqual(ids(theirs));
    expect(await stored()).toEqual([mine, theirs]);
  });

  test("eight transactions at the same time, in opposite orders, do not lock one another out", async () => {
    const pool = openDatabase(database.url, { maxConnections: 8, onIdleError: () => {} });
    try {
      const addresses = Array.from({ length: 400 }, (_, index) => `${index}@example.com`);
      // Worker n knows the addresses from 40 n on, and from an earlier day than those before it.
      const lists = Array.from({ length: 8 }, (_, worker) => {
        const rows = addresses
          .slice(worker * 40)
          .map((address) => suppression({ address, since: at(20 - worker) }));
        return worker % 2 === 0 ? rows : rows.toReversed();
      });

      const added = await Promise.all(lists.map((rows) => pool.transaction((tx) => suppress(tx, rows))));

      expect(added.map(({ size }) => size).reduce((sum, size) => sum + size)).toBe(400);
      const earliest = await database.db.query(
        "select since, count(*)::int as addresses from suppressions group by since order by since",
      );
      const counts = [120, 40, 40, 40, 40, 40, 40, 40];
      expect(earliest).toEqual(counts.map((count, index) => ({ since: at(13 + index), addresses: count })));
    } finally {
      await pool.close();
    }
  });
});
