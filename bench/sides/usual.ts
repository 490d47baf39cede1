import { Queue } from "bullmq";
import { Redis } from "ioredis";
import type { Database } from "../../src/storage/database.ts";
import type { Corpus } from "../corpus/corpus.ts";
import type { Expectation } from "../corpus/expectation.ts";
import { type Signer, topicArn } from "../corpus/sign.ts";
import { end, type Running } from "../processes.ts";
import type { RedisServer } from "../redis-server.ts";
import { postgresPid, type Stage } from "../stage.ts";
import { type EventJob, jobOptions, queueName } from "../usual-build/job.ts";
import { usualTables } from "../usual-build/statements.ts";
import { type Role, type Side, statusesOf } from "./side.ts";

const jobsTogether = 1_000;

/** The usual build, as two processes. @param stage without the product's tables. */
export async function withUsual<Result>(
  stage: Stage,
  { redis, signer }: { redis: RedisServer; signer: Signer },
  work: (side: Side) => Promise<Result>,
): Promise<Result> {
  await stage.db.query(usualTables);
  const connection = new Redis(redis.url, { maxRetriesPerRequest: null });
  const queue = new Queue<EventJob>(queueName, { connection });
  try {
    const postgres = await postgresPid(stage);
    return await work(usual(stage, { redis, signer, queue, postgres }));
  } finally {
    await queue.close();
    connection.disconnect();
  }
}

type Parts = { redis: RedisServer; signer: Signer; queue: Queue<EventJob>; postgres: number };

function usual(stage: Stage, { redis, signer, queue, postgres }: Parts): Side {
  const { db } = stage;
  const running = new Map<Role, Running>();
  return {
    name: "usual build",
    db,
    target: () => ({ origin: running.get("receiver")?.match[1] ?? "", path: "/sns" }),
    async startReceiver() {
      const args = [redis.url, topicArn, signer.certificatePath];
      running.set(
        "receiver",
        await stage.startScript("bench/usual-build/receiver.js", args, /listens on (\S+)/),
      );
    },
    async startWorker() {
      const args = [redis.url, stage.databaseUrl];
      running.set("worker", await stage.startScript("bench/usual-build/worker.js", args, /^works/));
    },
    async stop(role) {
      const process = running.get(role);
      if (process) await end(process.child);
      running.delete(role);
    },
    processes() {
      const own = [...running].map(([role, { pid }]) => [role, pid] as const);
      return new Map<string, number>([...own, ["PostgreSQL", postgres], ["Redis", redis.pid]]);
    },
    async empty() {
      await db.query("truncate events, activity, suppressions");
      await redis.empty();
      await db.query("checkpoint");
    },
    fill: (corpus) => fillQueue(queue, corpus),
    waiting: () => waiting(queue),
    received: async () => ({ notifications: await waiting(queue) }),
    applied: () => applied(db),
    async visible(messageIds) {
      const rows = await db.query<{ message_id: string }>(
        "select distinct message_id from activity where message_id = any($1)",
        [messageIds],
      );
      return rows.map(({ message_id }) => message_id);
    },
  };
}

async function fillQueue(queue: Queue<EventJob>, corpus: Corpus): Promise<void> {
  for (let from = 0; from < corpus.length; from += jobsTogether) {
    const jobs = corpus.slice(from, from + jobsTogether).map(({ snsMessageId, body }) => {
      const { Message: message }: { Message: string } = JSON.parse(body);
      return { name: "event", data: { snsMessageId, message }, opts: jobOptions(snsMessageId) };
    });
    await queue.addBulk(jobs);
  }
}

async function waiting(queue: Queue<EventJob>): Promise<number> {
  const counts = await queue.getJobCounts("waiting", "active", "delayed", "failed");
  if (counts["failed"] !== 0) throw new Error(`${counts["failed"]} jobs of the usual build failed`);
  return (counts["waiting"] ?? 0) + (counts["active"] ?? 0) + (counts["delayed"] ?? 0);
}

/** Which opens count depends on the order in which the usual build applies them, so they are not compared. */
async function applied(db: Database): Promise<Partial<Expectation>> {
  const statuses = await db.query<{ status: string; count: number }>(
    "select status, count(*)::integer as count from activity group by 1",
  );
  const [row] = await db.query<
    Pick<Expectation, "events" | "activities" | "clicked" | "clicks" | "suppressed">
  >(
    `select (select count(*)::integer from events) as events, count(*)::integer as activities,
       count(clicked_first_at)::integer as clicked, sum(click_count)::integer as clicks,
       (select count(*)::integer from suppressions) as suppressed
     from activity`,
  );
  return { ...row, statuses: statusesOf(statuses) };
}
