import { createHmac } from "node:crypto";
import { fileURLToPath } from "node:url";
import { isMainThread, Worker as Thread, workerData } from "node:worker_threads";
import { createPostgresBackend, withBackend } from "bullmq";
import { z } from "zod";
import { openDatabase } from "../src/storage/database.ts";
import { type LaneScene, type SinkEndpoint, setScene, until } from "./lane-scene.ts";

const { Queue, Worker } = withBackend(createPostgresBackend);
const queueName = "bench-job-per-delivery";
const concurrency = 50;

const Delivery = z.object({
  id: z.string(),
  event_id: z.string(),
  body: z.string(),
  url: z.string(),
  secret: z.string(),
});
type Delivery = z.infer<typeof Delivery>;

if (!isMainThread) work(z.string().parse(workerData));

/**
 * The usual way to post webhooks: a job per delivery, `fetch`, and then the outcome is written. The workers run in a
 * thread, as the service runs in a process.
 * @returns deliveries per second.
 */
export async function drainByJobs(scene: LaneScene, backlog: number): Promise<number> {
  const { sink, endpoints, databaseUrl } = scene;
  sink.hang([]);
  await setScene(scene, endpoints, backlog);
  await addJobs(scene);
  const startedMs = performance.now();
  const thread = new Thread(fileURLToPath(import.meta.url), { workerData: databaseUrl });
  try {
    await until("the backlog has arrived", 120_000, () => sink.arrivals.size >= backlog);
    return backlog / ((performance.now() - startedMs) / 1000);
  } finally {
    await thread.terminate();
    sink.arrivals.clear();
  }
}

async function addJobs({ db, databaseUrl, endpoints, sink }: LaneScene): Promise<void> {
  const byId = new Map<string, SinkEndpoint>(endpoints.map((endpoint) => [endpoint.id, endpoint]));
  const owed = await db.query<Omit<Delivery, "url" | "secret"> & { endpoint_id: string }>(
    "select id, event_id, body, endpoint_id from deliveries where state = 'pending'",
  );
  const jobs = owed.flatMap(({ endpoint_id, ...delivery }) => {
    const endpoint = byId.get(endpoint_id);
    if (endpoint === undefined) return [];
    const data: Delivery = { ...delivery, url: sink.origin + endpoint.path, secret: endpoint.secret };
    return [{ name: "deliver", data, opts: { removeOnComplete: true, removeOnFail: true } }];
  });
  const queue = new Queue(queueName, { connection: { connectionString: databaseUrl } });
  for (let from = 0; from < jobs.length; from += 1_000) await queue.addBulk(jobs.slice(from, from + 1_000));
  await queue.close();
}

function work(databaseUrl: string): void {
  const db = openDatabase(databaseUrl, { maxConnections: 12, onIdleError: () => {} });
  const connection = { connectionString: databaseUrl };
  const worker = new Worker(
    queueName,
    async (job) => {
      const { id, event_id, body, url, secret } = Delivery.parse(job.data);
      const timestamp = Math.floor(Date.now() / 1000);
      const key = Buffer.from(secret.slice("whsec_".length), "base64");
      const signature = createHmac("sha256", key).update(`${event_id}.${timestamp}.${body}`).digest("base64");
      const headers = {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": String(timestamp),
        "webhook-signature": `v1,${signature}`,
      };
      const answer = await fetch(url, { method: "POST", headers, body });
      await answer.arrayBuffer();
      await db.query(
        "update deliveries set state = 'succeeded', attempts = attempts + 1, finished_at = now() where id = $1",
        [id],
      );
    },
    { connection, concurrency },
  );
  worker.on("error", () => {});
}
