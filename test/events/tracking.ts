import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Lane } from "../../src/domain/webhooks/owed.ts";
import { type EventToTrack, type TrackContext, trackEvents } from "../../src/events/track-events.ts";
import { type Database, type DatabasePool, openDatabase } from "../../src/storage/database.ts";
import { partitionsOf } from "../../src/storage/partitions.ts";
import { defaultProjectId, insertProject } from "../../src/storage/projects.ts";
import { addEndpoint as add } from "../../src/webhooks/endpoints.ts";
import { createSecretBox } from "../../src/webhooks/secret-box.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

export const otherProjectId = randomUUID();

export const occurredAt = new Date("2026-11-20T10:00:00.123Z");

export let database: TestDatabase;

export let endpointId: string;

export let woken: Lane[];

export let warnings: string[];

let otherPools: DatabasePool[];

export async function addEndpoint(eventTypes: string[]): Promise<string> {
  const context = { db: database.db, clock: systemClock, secretBox: createSecretBox([randomBytes(32)]) };
  const settings = { event_types: eventTypes };
  return (await add(context, defaultProjectId, "https://example.com/hook", settings)).id;
}

export function contextOn(db: Database): TrackContext {
  return {
    db,
    partitions: partitionsOf(db),
    clock: systemClock,
    queues: {
      async wakeDeliver(jobs) {
        woken.push(...jobs);
      },
    },
    log: {
      error: () => {},
      warn: (_fields, message) => warnings.push(message),
      info: () => {},
      debug: () => {},
    },
  };
}

/** As another process would open it. */
export function anotherPool(): DatabasePool {
  const pool = openDatabase(database.url, { maxConnections: 10, onIdleError: () => {} });
  otherPools.push(pool);
  return pool;
}

export function event(fields: Partial<EventToTrack> = {}): EventToTrack {
  return { name: "viewitem", email: "jane@example.com", properties: {}, occurredAt, ...fields };
}

export const confirmation = (
  properties: Record<string, unknown> = { orderId: "1001" },
  email = "jane@example.com",
) => event({ name: "confirmation", properties, email });

export const track = (...events: EventToTrack[]) =>
  trackEvents(contextOn(database.db), defaultProjectId, events);

export type StoredRow = {
  id: string;
  owner_id: string;
  discarded: string | null;
  detail: Record<string, unknown>;
};

export const storedEvents = () =>
  database.db.query<StoredRow>("select id, owner_id, discarded, detail from events order by created_at, id");

export const deliveries = () =>
  database.db.query<{
    endpoint_id: string;
    event_id: string;
    event_type: string;
    state: string;
    body: string;
  }>("select endpoint_id, event_id, event_type, state, body from deliveries order by created_at, id");

export const orders = () =>
  database.db.query("select project_id, order_id, event_id from orders order by order_id");

/** Each file needs the hooks, and a worker loads this module once. */
export function setUp(): void {
  beforeAll(async () => {
    database = await testDatabase();
    await insertProject(database.db, otherProjectId, "other");
  });
  afterAll(() => database?.drop());
  beforeEach(async () => {
    await database.db.query(
      "truncate events, recipients, orders, deliveries, webhook_endpoints, webhook_secrets, webhook_lanes, replays",
    );
    endpointId = await addEndpoint(["event.tracked"]);
    [woken, warnings, otherPools] = [[], [], []];
  });
  afterEach(async () => {
    await Promise.all(otherPools.map((pool) => pool.close()));
  });
}
