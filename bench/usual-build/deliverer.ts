import { createHmac } from "node:crypto";
import { Worker } from "bullmq";
import { Redis } from "ioredis";
import pg from "pg";
import { Agent, request } from "undici";
import { endWithBenchmark } from "../lifetime.ts";
import { type DeliveryJob, deliveryQueueName, recordDelivery } from "./deliveries.ts";

/*
 * The usual worker of webhooks: a job for each delivery, a hundred at a time, posted over connections that are kept, and
 * then the outcome is written.
 * Arguments: URL of Redis, URL of PostgreSQL.
 */

const concurrency = 100;
const poolSize = 20;
const timeoutMs = 15_000;

const [redisUrl = "", databaseUrl = ""] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: databaseUrl, max: poolSize });
const dispatcher = new Agent({ connections: concurrency, headersTimeout: timeoutMs, bodyTimeout: timeoutMs });
const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
const worker = new Worker<DeliveryJob>(deliveryQueueName, (job) => deliver(job.data), {
  connection,
  concurrency,
});
worker.on("error", (error) => process.stderr.write(`${error.message}\n`));
await worker.waitUntilReady();
process.stdout.write("works\n");
endWithBenchmark();

async function deliver({ id, eventId, url, secret, body }: DeliveryJob): Promise<void> {
  const headers = { "content-type": "application/json", ...signature(eventId, secret, body) };
  const { statusCode, body: answer } = await request(url, { method: "POST", headers, body, dispatcher });
  await answer.dump();
  const isAccepted = statusCode >= 200 && statusCode < 300;
  await pool.query({
    name: "record",
    text: recordDelivery,
    values: [id, isAccepted ? "succeeded" : "retrying", statusCode],
  });
  // BullMQ tries again.
  if (!isAccepted) throw new Error(`The endpoint answered ${statusCode}`);
}

function signature(eventId: string, secret: string, body: string): Record<string, string> {
  const timestamp = Math.floor(Date.now() / 1000);
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const digest = createHmac("sha256", key).update(`${eventId}.${timestamp}.${body}`).digest("base64");
  return {
    "webhook-id": eventId,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": `v1,${digest}`,
  };
}
