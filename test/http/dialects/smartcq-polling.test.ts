import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { partitionsOf } from "../../../src/storage/partitions.ts";
import type { TestDatabase } from "../../support/database.ts";
import { atLength } from "../../support/length.ts";
import { projectTest, type TestProject } from "../../support/project-test.ts";

const test = projectTest({
  roles: { receiver: true, workers: false },
  environment: { RATE_LIMIT_PER_MINUTE: "1000000" },
});

const sends = atLength(5_000, 20_000);
const writers = 4;

/** Inserts sends of the ids in one transaction, and commits after a while. @param createdAt SQL */
function writeBatch(
  { db }: TestDatabase,
  projectId: string,
  ids: readonly string[],
  createdAt: string,
): Promise<void> {
  return db.transaction(async (tx) => {
    if (Math.random() < 0.3) await sleep(Math.random() * 5);
    await tx.query(
      `insert into activity (project_id, id, message_id, recipient, recipient_as_sent, is_test, current_status,
         open_count, click_count, recipient_certain, created_at)
       select $1, id, id::text, 'jane@example.com', 'jane@example.com', false, 'sent', 0, 0, true, ${createdAt}
       from unnest($2::uuid[]) as id`,
      [projectId, ids],
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
async function poll(
  project: TestProject,
  query: string,
  done: Promise<unknown>,
  see: (sends: Seen[]) => void,
): Promise<void> {
  let isDone = false;
  void done.then(() => {
    isDone = true;
  });
  for (let since: string | null = null; ; ) {
    const wasDone = isDone;
    const answer = await project.get(`/api/v1/sends?${query}${since === null ? "" : `&since=${since}`}`);
    const page = (await answer.json()) as { data: Seen[]; next: string | null };
    expect([answer.status, page.next === null]).toEqual([200, page.data.length === 0]);
    see(page.data);
    if (page.next === null && wasDone) return;
    since = page.next ?? since;
  }
}

test.for<[string, string]>([
  ["the time of their transaction", "now()"],
  ["a time of their own", "clock_timestamp()"],
])(
  "a poller at full speed sees each send once, written with %s",
  async ([_what, createdAt], { project, database }) => {
    const ids = Array.from({ length: sends }, () => randomUUID());
    const seen: string[] = [];

    const written = writeAll(ids, (batch) => writeBatch(database, project.id, batch, createdAt));
    await poll(project, "limit=500", written, (page) => seen.push(...page.map(({ id }) => id)));

    expect(seen.length).toBe(sends);
    expect(new Set(seen)).toEqual(new Set(ids));
  },
);

test("with cursorBy=updated a poller at full speed sees the last state of each", async ({
  project,
  database,
}) => {
  const ids = Array.from({ length: sends }, () => randomUUID());
  await partitionsOf(database.db).ensure("events", [new Date()]);
  await writeBatch(database, project.id, ids, "now()");
  const states = new Map<string, string>();
  const steps = ["delivered", "bounced_hard", "complained"];

  const written = (async () => {
    for (const step of steps) await writeAll(ids, (batch) => change(database, project.id, batch, step));
  })();
  await poll(project, "limit=500&cursorBy=updated", written, (page) => {
    for (const { id, status } of page) states.set(id, status);
  });

  expect(states.size).toBe(ids.length);
  expect(new Set(states.values())).toEqual(new Set(["complained"]));
});

/** Changes activities and records an event of each, as a worker does. */
function change(
  { db }: TestDatabase,
  projectId: string,
  ids: readonly string[],
  status: string,
): Promise<void> {
  return db.transaction(async (tx) => {
    await tx.query("update activity set current_status = $3 where project_id = $1 and id = any($2::uuid[])", [
      projectId,
      ids,
      status,
    ]);
    await tx.query(
      `insert into events (project_id, owner_id, occurred_at, id, type, detail)
       select $1, id, now(), gen_random_uuid(), 'delivered', '{}' from unnest($2::uuid[]) as id`,
      [projectId, ids],
    );
    await sleep(Math.random() * 30);
  });
}
