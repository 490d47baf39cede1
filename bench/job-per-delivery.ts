import { randomUUID } from "node:crypto";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { assertPosted, type Measure } from "./lane-drain.ts";
import { type LaneScene, until, webhookBody } from "./lane-scene.ts";
import type { RedisServer } from "./redis-server.ts";
import type { Run } from "./sides/rounds.ts";
import type { Stage } from "./stage.ts";
import {
  type DeliveryJob,
  deliveryOptions,
  deliveryQueueName,
  deliveryTable,
} from "./usual-build/deliveries.ts";

/** The usual way to post webhooks: a job per delivery, and then its outcome is written. */
export type JobPerDelivery = {
  pid: number;
  /** Gives all endpoints a backlog, and measures until all outcomes are written. */
  drain(backlog: number, measure: Measure): Promise<Run>;
  close(): Promise<void>;
};

const jobsTogether = 1_000;

/** Starts its worker, a process of its own. */
export async function jobPerDelivery(
  stage: Stage,
  redis: RedisServer,
  scene: LaneScene,
): Promise<JobPerDelivery> {
  await stage.db.query(deliveryTable);
  const args = [redis.url, stage.databaseUrl];
  const { pid } = await stage.startScript("bench/usual-build/deliverer.js", args, /^works/);
  const connection = new Redis(redis.url, { maxRetriesPerRequest: null });
  const queue = new Queue<DeliveryJob>(deliveryQueueName, { connection });
  return {
    pid,
    drain: (backlog, measure) => drain(scene, { queue, backlog, measure }),
    async close() {
      await queue.close();
      connection.disconnect();
    },
  };
}

type Drain = { queue: Queue<DeliveryJob>; backlog: number; measure: Measure };

async function drain(scene: LaneScene, { queue, backlog, measure }: Drain): Promise<Run> {
  const { db, sink } = scene;
  sink.hang([]);
  await queue.pause();
  await db.query("truncate usual_deliveries");
  for (let from = 0; from < backlog; from += jobsTogether)
    await add(scene, queue, from, Math.min(from + jobsTogether, backlog));
  await db.query("vacuum (analyze)");
  await db.query("checkpoint");
  const run = await measure(async () => {
    await queue.resume();
    await until("the backlog has arrived", 300_000, () => sink.arrivals.size >= backlog);
    await until("all outcomes are written", 30_000, async () => (await unfinished(queue)) === 0);
  });
  const [written] = await db.query<{ count: number }>(
    "select count(*)::integer as count from usual_deliveries where state = 'succeeded'",
  );
  assertPosted(sink.posts(), backlog);
  if (written?.count !== backlog) throw new Error(`${written?.count} outcomes of ${backlog} are written`);
  sink.forget();
  return run;
}

async function unfinished(queue: Queue<DeliveryJob>): Promise<number> {
  const { active = 0, waiting = 0, failed = 0, delayed = 0 } = await queue.getJobCounts();
  if (failed + delayed > 0) throw new Error("A job failed");
  return active + waiting;
}

/** Adds the deliveries of these numbers, in turn to each endpoint. */
async function add(
  { db, endpoints, sink }: LaneScene,
  queue: Queue<DeliveryJob>,
  from: number,
  to: number,
): Promise<void> {
  const owed = Array.from({ length: to - from }, (_, n) => {
    const endpoint = endpoints[(from + n) % endpoints.length];
    if (endpoint === undefined) throw new Error("unreachable: there are endpoints");
    return { id: randomUUID(), eventId: randomUUID(), endpoint };
  });
  await db.query(
    `insert into usual_deliveries (id, endpoint_id, event_id, state)
     select *, 'pending' from unnest($1::uuid[], $2::uuid[], $3::uuid[])`,
    [owed.map(({ id }) => id), owed.map(({ endpoint }) => endpoint.id), owed.map(({ eventId }) => eventId)],
  );
  const jobs = owed.map(({ id, eventId, endpoint: { path, secret } }) => ({
    name: "deliver",
    data: { id, eventId, url: sink.origin + path, secret, body: webhookBody },
    opts: deliveryOptions,
  }));
  await queue.addBulk(jobs);
}
