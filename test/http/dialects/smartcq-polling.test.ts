import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type DatabasePool, openDatabase } from "../../../src/storage/database.ts";
import { partitionsOf } from "../../../src/storage/partitions.ts";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import { type TestDatabase, testDatabase } from "../../support/database.ts";
import { atLength } from "../../support/length.ts";
import { startTestService, type TestService } from "../../support/service.ts";

let database: TestDatabase;
let service: TestService;
let pool: DatabasePool;

beforeEach(async () => {
  database = await testDatabase();
  service = await startTestService({
    databaseUrl: database.url,
    roles: { receiver: true, workers: false },
    environment: { RATE_LIMIT_PER_MINUTE: "1000000" },
  });
  pool = openDatabase(database.url, { maxConnections: 4, onIdleError: () => {} });
});
afterEach(async () => {
  await pool.close();
  await service.close();
  await database.drop();
});

const sends = atLength(5_000, 20_000);
const writers = 4;

/** Inserts sends of the ids in one transaction, and commits after a while. @param createdAt SQL */
function writeBatch(ids: readonly string[], createdAt: string): Promise<void> {
  return pool.transaction(async (tx) => {
    if (Math.random() < 0.3) await sleep(Math.random() * 5);
    await tx.query(
      `insert into activity (project_id, id, message_id, recipient, recipient_as_sent, is_test, current_status,
         open_count, click_count, recipient_certain, created_at)
       select $1, id, id::text, 'jane@example.com', 'jane@example.com', false, 'sent', 0, 0, true, ${createdAt}
       from unnest($2::uuid[]) as id`,
      [defaultProjectId, ids],
    );
    await sleep(Math.random() * 30);
  });
}

/** Runs writers side by side until each has written its share in batches of random size. */
async function writeAll(
  ids: readonly string[],
  write: (batch: readonly string[]) => Promise<void>,
): Promise<void> {
  const share = ids.length / writers;
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let at = writer * share; at < (writer + 1) * share; ) {
        const size = Math.min(1 + Math.floor(Math.random() * 400), (writer + 1) * share - at);
        await write(ids.slice(at, at + size));
        at += size;
      }
    }),
  );
}

type Seen = { id: string; status: string };

/** Asks as SmartCQ's clients do, without a pause, until an empty page comes after `done`. */
async function poll(query: string, done: Promise<unknown>, see: (sends: Seen[]) => void): Promise<void> {
  let isDone = false;
  void done.then(() => {
    isDone = true;
  });
  for (let since: string | null = null; ; ) {
    const wasDone = isDone;
    const answer = await service.get(`/api/v1/sends?${query}${since === null ? "" : `&since=${since}`}`);
    const page = (await answer.json()) as { data: Seen[]; next: string | null };
    expect([answer.status, page.next === null]).toEqual([200, page.data.length === 0]);
    see(page.data);
    if (page.next === null && wasDone) return;
    since = page.next ?? since;
  }
}

test.each([
  ["the time of their transaction", "now()"],
  ["a time of their own", "clock_timestamp()"],
])("a poller at full speed sees each send once, written with %s", async (_what, createdAt) => {
  const ids = Array.from({ length: sends }, () => randomUUID());
  const seen: string[] = [];

  const written = writeAll(ids, (batch) => writeBatch(batch, createdAt));
  await poll("limit=500", written, (page) => seen.push(...page.map(({ id }) => id)));

  expect(seen.length).toBe(sends);
  expect(new Set(seen)).toEqual(new Set(ids));
});

test("with cursorBy=updated a poller at full speed sees the last state of each", async () => {
  const ids = Array.from({ length: sends }, () => randomUUID());
  await partitionsOf(pool).ensure("events", [new Date()]);
  await writeBatch(ids, "now()");
  const states = new Map<string, string>();
  const steps = ["delivered", "bounced_hard", "complained"];

  const written = (async () => {
    for (const step of steps) await writeAll(ids, (batch) => change(batch, step));
  })();
  await poll("limit=500&cursorBy=updated", written, (page) => {
    for (const { id, status } of page) states.set(id, status);
  });

  expect(states.size).toBe(ids.length);
  expect(new Set(states.values())).toEqual(new Set(["complained"]));
});

/** Changes activities and records an event of each, as a worker does. */
function change(ids: readonly string[], status: string): Promise<void> {
  return pool.transaction(async (tx) => {
    await tx.query("update activity set current_status = $3 where project_id = $1 and id = any($2::uuid[])", [
      defaultProjectId,
      ids,
      status,
    ]);
    await tx.query(
      `insert into events (project_id, owner_id, occurred_at, id, type, detail)
       select $1, id, now(), gen_random_uuid(), 'delivered', '{}' from unnest($2::uuid[]) as id`,
      [defaultProjectId, ids],
    );
    await sleep(Math.random() * 30);
  });
}
