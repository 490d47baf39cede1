import { Worker } from "bullmq";
import { Redis } from "ioredis";
import pg from "pg";
import { endWithBenchmark } from "../lifetime.ts";
import { type EventJob, queueName } from "./job.ts";
import { readUsualEvents, type UsualEvent } from "./read-event.ts";
import { insertEvent, insertSuppression, upsertActivity } from "./statements.ts";

/*
 * The usual worker: a transaction for each job, fifty jobs at a time.
 * Arguments: URL of Redis, URL of PostgreSQL.
 */

const concurrency = 50;
const poolSize = 20;

const [redisUrl = "", databaseUrl = ""] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: databaseUrl, max: poolSize });
const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
const worker = new Worker<EventJob>(queueName, (job) => apply(job.data), { connection, concurrency });
worker.on("error", (error) => process.stderr.write(`${error.message}\n`));
await worker.waitUntilReady();
process.stdout.write("works\n");
endWithBenchmark();

async function apply({ message }: EventJob): Promise<void> {
  const events = readUsualEvents(message);
  const client = await pool.connect();
  try {
    await client.query("begin");
    for (const event of events) await applyEvent(client, event);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}

/** Statements with a name are prepared once for each connection. */
async function applyEvent(client: pg.PoolClient, event: UsualEvent): Promise<void> {
  const { messageId, recipient, type, occurredAt, detail, suppression } = event;
  const inserted = await client.query({
    name: "event",
    text: insertEvent,
    values: [messageId, recipient, type, occurredAt, JSON.stringify(detail)],
  });
  if (inserted.rowCount === 0) return;
  await client.query({ name: "activity", text: upsertActivity, values: activityValues(event) });
  if (suppression === null) return;
  await client.query({
    name: "suppression",
    text: insertSuppression,
    values: [recipient, suppression, occurredAt],
  });
}

function activityValues({ mail, recipient, status, rank, type, occurredAt }: UsualEvent): unknown[] {
  const { messageId, timestamp, source, commonHeaders, tags } = mail;
  return [
    messageId,
    recipient,
    timestamp,
    commonHeaders?.subject ?? null,
    commonHeaders?.from?.[0] ?? source,
    source.slice(source.lastIndexOf("@") + 1),
    tags?.["email_type"]?.[0] ?? null,
    tags?.["campaign_id"]?.[0] ?? null,
    JSON.stringify(tags ?? {}),
    new Date(),
    status,
    rank,
    type,
    occurredAt,
  ];
}
