import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { createSecretBox } from "../../src/webhooks/secret-box.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { dataDirectory, fanmail, terminate } from "../support/fanmail-process.ts";
import { atLength } from "../support/length.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";

/*
 * The built worker is killed in the middle of its turns, over and over.
 */

/** With 600 deliveries for each. */
const kills = atLength(2, 6);
const endpoints = 20;
const perEndpoint = 30 * kills;

let database: TestDatabase;
let sink: TestSink;
let directory: { path: string; remove(): Promise<void> };

beforeAll(async () => {
  database = await testDatabase();
  directory = await dataDirectory();
  sink = await webhookSink(() => ({ status: 204 }));
});
afterAll(async () => {
  await sink?.close();
  await directory?.remove();
  await database?.drop();
});

async function owe(endpointId: string): Promise<void> {
  await database.db.query(
    `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state)
     select $1, gen_random_uuid(), $2, gen_random_uuid(), 'email.open', '{}', 'pending'
     from generate_series(1, $3::integer)`,
    [defaultProjectId, endpointId, perEndpoint],
  );
}

async function count(state: string): Promise<number> {
  const [row] = await database.db.query<{ count: number }>(
    "select count(*)::integer as count from deliveries where state = $1",
    [state],
  );
  return row?.count ?? 0;
}

test(`kill -9 of the worker ${kills} times: every delivery arrives, and none more often than leases were in flight`, async () => {
  const key = randomBytes(32);
  const context = { db: database.db, clock: systemClock, secretBox: createSecretBox([key]) };
  for (let n = 0; n < endpoints; n++) await owe((await addEndpoint(context, sink.url)).id);
  const environment = {
    DATA_DIR: directory.path,
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: key.toString("base64"),
    WEBHOOK_ALLOWED_CIDRS: "127.0.0.0/8",
    LOG_LEVEL: "error",
  };
  const total = endpoints * perEndpoint;
  let leasedAtKills = 0;
  // Two at a time, so that the other goes on while the lanes of the one that was killed are blocked.
  const workers = [fanmail(["worker"], environment), fanmail(["worker"], environment)] as const;
  let [victim, other] = workers;
  for (let kill = 1; kill <= kills; kill++) {
    const goal = Math.floor((total * kill) / (kills + 2));
    await until(`${goal} have arrived`, () => sink.received.length >= goal, 90);
    victim.child.kill("SIGKILL");
    await victim.ended;
    leasedAtKills += await count("leased");
    [victim, other] = [other, fanmail(["worker"], environment)];
  }
  // Leases of those that were killed run out first.
  await until("all have arrived", async () => (await count("succeeded")) === total, 90);
  for (const worker of [victim, other]) {
    expect(await terminate(worker)).toMatchObject({ code: 0, stderr: "" });
  }

  const arrived = sink.received.map(({ headers }) => headers["webhook-id"]);
  const repeats = arrived.length - new Set(arrived).size;
  expect(new Set(arrived).size).toBe(total);
  expect(leasedAtKills).toBeGreaterThan(0);
  expect(repeats).toBeLessThanOrEqual(leasedAtKills);
  expect(await count("leased")).toBe(0);
}, 300_000);
