import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "undici";
import { z } from "zod";
import type { Lane } from "../src/domain/webhooks/owed.ts";
import { chooseBackend, openQueues, type Queues } from "../src/queue/queues.ts";
import type { Database } from "../src/storage/database.ts";
import { defaultProjectId as projectId } from "../src/storage/projects.ts";
import { type LaneSink, laneSink } from "./lane-sink.ts";
import type { Stage } from "./stage.ts";

/** An endpoint of the sink. */
export type SinkEndpoint = { id: string; secret: string; path: string };

/** A service, and the endpoints that it posts to. @property pid of the service. */
export type LaneScene = {
  pid: number;
  db: Database;
  queues: Queues;
  sink: LaneSink;
  endpoints: readonly SinkEndpoint[];
};

/** An endpoint's default. */
export const maxInFlight = 10;
/** About 500 bytes, like the webhook of an open. */
export const webhookBody = JSON.stringify({
  event: "email.open",
  timestamp: "2026-01-01T00:00:00.000Z",
  project_id: projectId,
  is_test: false,
  data: { activity_id: projectId, recipient: "reader@example.com", user_agent: "Mozilla/5.0 ".repeat(24) },
});

/** Starts a service with endpoints at a sink, for `work`. */
export async function onLaneScene<Result>(
  { db, databaseUrl, key, startService }: Stage,
  { endpointCount, redisUrl }: { endpointCount: number; redisUrl: string | undefined },
  work: (scene: LaneScene) => Promise<Result>,
): Promise<Result> {
  const service = await startService("start", redisUrl === undefined ? {} : { REDIS_URL: redisUrl });
  const sink = await laneSink();
  try {
    const endpoints = await makeEndpoints({ ...service, key }, sink.origin, endpointCount);
    const backend = await chooseBackend(redisUrl === undefined ? [] : [redisUrl]);
    // If this fails, so do the calls.
    const queues = await openQueues(backend, { database: { url: databaseUrl, db }, onError: () => {} });
    try {
      return await work({ pid: service.pid, db, queues, sink, endpoints });
    } finally {
      await queues.close();
    }
  } finally {
    await sink.close();
  }
}

const Created = z.object({ data: z.object({ id: z.string(), secret: z.string() }) });

/** Adds endpoints for all events of the default project. */
export async function makeEndpoints(
  { url, key }: { url: string; key: string },
  origin: string,
  count: number,
): Promise<SinkEndpoint[]> {
  const client = new Client(url);
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const endpoints: SinkEndpoint[] = [];
  try {
    for (let number = 0; number < count; number++) {
      const path = `/hooks/${number}`;
      const body = JSON.stringify({ url: origin + path });
      const answer = await client.request({ method: "POST", path: "/v1/webhooks", headers, body });
      endpoints.push({ path, ...Created.parse(await answer.body.json()).data });
    }
  } finally {
    await client.destroy();
  }
  return endpoints;
}

/** Past deliveries of each endpoint: without them the database would choose other plans. */
const pastPerEndpoint = 100;

export function pastDeliveries({ endpoints }: Pick<LaneScene, "endpoints">): number {
  return pastPerEndpoint * endpoints.length;
}

/**
 * Deletes earlier deliveries, and gives these endpoints a backlog that is due, evenly spread. Nothing is posted before
 * `openLanes`.
 */
export async function setScene(
  { db, endpoints }: Pick<LaneScene, "db" | "endpoints">,
  owed: readonly SinkEndpoint[],
  backlog: number,
): Promise<void> {
  await db.query(
    `update webhook_lanes set paused_until = '2100-01-01', breaker_openings = default, slowdowns = default,
       recent = default, failing_since = default, last_success_at = default`,
  );
  await db.query("truncate deliveries, attempts");
  await owe(db, endpoints, pastDeliveries({ endpoints }), "succeeded");
  if (owed.length > 0) await owe(db, owed, backlog, "pending");
  // Now, so that it does not happen during a measurement.
  await db.query("vacuum (analyze)");
  await db.query("checkpoint");
}

export async function openLanes({ db }: LaneScene): Promise<void> {
  await db.query("update webhook_lanes set paused_until = null");
}

async function owe(
  db: Database,
  endpoints: readonly SinkEndpoint[],
  count: number,
  state: "succeeded" | "pending",
): Promise<void> {
  const ids = endpoints.map(({ id }) => id);
  await db.query(
    `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, due_at)
     select $1, gen_random_uuid(), ($2::uuid[])[n % $3::integer + 1], gen_random_uuid(), 'email.open', $4, $5,
       now() - interval '1 minute'
     from generate_series(0, $6::integer - 1) as n`,
    [projectId, ids, ids.length, webhookBody, state, count],
  );
}

export function lanesOf(endpoints: readonly SinkEndpoint[]): Lane[] {
  return endpoints.map(({ id }) => ({ projectId, endpointId: id }));
}

/** Aborts hanging posts, and waits for the turns in progress. */
export async function endTurns({ db, sink }: LaneScene): Promise<void> {
  sink.hang([]);
  sink.breakOff();
  await until("no turn is under way", 20_000, async () => {
    const [leased] = await db.query("select 1 from deliveries where state = 'leased' limit 1");
    return leased === undefined && sink.held() === 0;
  });
}

/** @throws if it does not become true in time. */
export async function until(
  what: string,
  withinMs: number,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const lastMs = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > lastMs) throw new Error(`Not so within ${withinMs / 1000} s: ${what}`);
    await sleep(10);
  }
}

/** Whether a delivery is due or under way. */
export async function isAnyOpen(db: Database): Promise<boolean> {
  const [open] = await db.query(
    "select 1 from deliveries where state in ('pending', 'retrying') or state = 'leased' limit 1",
  );
  return open !== undefined;
}
