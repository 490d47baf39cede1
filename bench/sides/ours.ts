import { systemClock } from "../../src/clock.ts";
import { chooseBackend, openQueues, type Queues } from "../../src/queue/queues.ts";
import type { Database } from "../../src/storage/database.ts";
import { type AcceptedNotification, storeBatch } from "../../src/storage/journal.ts";
import { type Partitions, partitionsOf } from "../../src/storage/partitions.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { insertTopic } from "../../src/storage/topics.ts";
import type { Corpus, Notification } from "../corpus/corpus.ts";
import type { Expectation } from "../corpus/expectation.ts";
import { type Signer, topicArn } from "../corpus/sign.ts";
import type { RedisServer } from "../redis-server.ts";
import { postgresPid, type ServiceProcess, type Stage } from "../stage.ts";
import { type Role, type Side, statusesOf } from "./side.ts";

/** The receiver's largest batch. */
const batchSize = 256;

/**
 * @property redis null: the queue is in PostgreSQL.
 * @property signer null: no receiver is started.
 * @property keepsEmails whether emails and events stay when all is emptied; what is counted is what came since.
 */
type OursOptions = { name?: string; redis: RedisServer | null; signer: Signer | null; keepsEmails?: boolean };

/** The built program, as two processes. */
export async function withOurs<Result>(
  stage: Stage,
  options: OursOptions,
  work: (side: Side) => Promise<Result>,
): Promise<Result> {
  const { db } = stage;
  await insertTopic(db, { project_id: defaultProjectId, id: systemClock.newId(), arn: topicArn });
  const backend = await chooseBackend(options.redis === null ? [] : [options.redis.url]);
  const queues = await openQueues(backend, {
    database: { url: stage.databaseUrl, db },
    // If this fails, so do the calls.
    onError: () => {},
  });
  try {
    const postgres = await postgresPid(stage);
    return await work(ours(stage, { ...options, queues, postgres }));
  } finally {
    await queues.close();
  }
}

type Parts = OursOptions & { queues: Queues; postgres: number };

function ours(stage: Stage, parts: Parts): Side {
  const { name = "ours", redis, signer, keepsEmails = false, queues, postgres } = parts;
  const { db } = stage;
  let emptiedAt = new Date(0);
  const partitions = partitionsOf(db);
  const environment = {
    SNS_TOPIC_ARNS: topicArn,
    ...(signer && { SNS_LOCAL_CERTS: `${signer.certificateUrl}=${signer.certificatePath}` }),
    ...(redis && { REDIS_URL: redis.url }),
  };
  const running = new Map<Role, ServiceProcess>();
  const start = async (role: Role, processes?: number) => {
    running.set(role, await stage.startService(role, environment, processes));
  };
  return {
    name,
    db,
    target: () => ({ origin: running.get("receiver")?.url ?? "", path: "/ingest/sns" }),
    startReceiver: (processes) => start("receiver", processes),
    startWorker: (processes) => start("worker", processes),
    async stop(role) {
      await running.get(role)?.end();
      running.delete(role);
    },
    processes() {
      const own = [...running].map(([role, { pid }]) => [role, pid] as const);
      return new Map<string, number>([
        ...own,
        ["PostgreSQL", postgres],
        ...(redis ? [["Redis", redis.pid] as const] : []),
      ]);
    },
    async empty() {
      await emptyTables(db, keepsEmails ? ["activity", "events"] : []);
      emptiedAt = await databaseTime(db);
      await redis?.empty();
      await db.query("checkpoint");
    },
    fill: (corpus) => fillJournal({ db, partitions, queues }, corpus),
    waiting: () => waiting(db),
    received: () => received(db),
    applied: () => applied(db, emptiedAt),
    async visible(messageIds) {
      const rows = await db.query<{ message_id: string }>(
        "select distinct message_id from activity where project_id = $1 and message_id = any($2)",
        [defaultProjectId, messageIds],
      );
      return rows.map(({ message_id }) => message_id);
    },
  };
}

async function databaseTime(db: Database): Promise<Date> {
  const [row] = await db.query<{ now: Date }>("select now()");
  return row?.now ?? new Date(0);
}

/** Everything but what is set up once. */
async function emptyTables(db: Database, alsoKept: readonly string[]): Promise<void> {
  const endpoints = ["webhook_endpoints", "webhook_secrets", "webhook_lanes"];
  const kept = [
    "migrations",
    "projects",
    "topics",
    "api_keys",
    "retention_passes",
    ...endpoints,
    ...alsoKept,
  ];
  const tables = await db.query<{ name: string }>(
    `select quote_ident(relname) as name from pg_class
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
       and relname <> all($1)`,
    [kept],
  );
  await db.query(`truncate ${tables.map(({ name }) => name).join(", ")}`);
}

type Journal = { db: Database; partitions: Partitions; queues: Queues };

async function fillJournal({ db, partitions, queues }: Journal, corpus: Corpus): Promise<void> {
  const [topic] = await db.query<{ id: string }>("select id from topics where arn = $1", [topicArn]);
  const topicId = topic?.id ?? "";
  const stored = await db.transaction(async (tx) => {
    const batchIds: string[] = [];
    for (let from = 0; from < corpus.length; from += batchSize) {
      const batchId = systemClock.newId();
      const batch = corpus.slice(from, from + batchSize).map((one) => accepted(one, topicId));
      const isNew = await storeBatch(tx, partitions, batchId, batch);
      if (isNew.includes(true)) batchIds.push(batchId);
    }
    return batchIds;
  });
  await queues.wakeApply(stored.map((batchId) => ({ batchId })));
}

function accepted(
  { snsMessageId, publishedAtMs, body }: Notification,
  topicId: string,
): AcceptedNotification {
  return {
    project_id: defaultProjectId,
    topic_id: topicId,
    sns_message_id: snsMessageId,
    sns_timestamp: new Date(publishedAtMs),
    body,
  };
}

async function waiting(db: Database): Promise<number> {
  const [row] = await db.query<{ count: number }>(
    "select coalesce(sum(notification_count), 0)::integer as count from batches where applied_at is null",
  );
  return row?.count ?? 0;
}

async function received(db: Database): Promise<Partial<Expectation>> {
  const [row] = await db.query<{ notifications: number; in_batches: number }>(
    `select (select count(*)::integer from notifications) as notifications,
       (select sum(notification_count)::integer from batches) as in_batches`,
  );
  if (row?.notifications !== row?.in_batches)
    throw new Error("The journal's batches do not add up to its notifications");
  return { notifications: row?.notifications ?? 0 };
}

/** Rows say when they were recorded. */
async function applied(db: Database, since: Date): Promise<Partial<Expectation>> {
  const statuses = await db.query<{ status: string; count: number }>(
    "select current_status as status, count(*)::integer as count from activity where created_at >= $1 group by 1",
    [since],
  );
  const [row] = await db.query<Omit<Expectation, "statuses" | "notifications">>(
    `select (select count(*)::integer from events where created_at >= $1) as events,
       count(*)::integer as activities,
       count(opened_first_at)::integer as opened, count(clicked_first_at)::integer as clicked,
       sum(open_count)::integer as opens, sum(click_count)::integer as clicks,
       (select count(*)::integer from suppressions) as suppressed
     from activity where created_at >= $1`,
    [since],
  );
  const [quarantined] = await db.query<{ count: number }>(
    "select sum(quarantined_count)::integer as count from batches",
  );
  if (quarantined?.count !== 0) throw new Error(`${quarantined?.count} notifications are in quarantine`);
  return { ...(await received(db)), ...row, statuses: statusesOf(statuses) };
}
