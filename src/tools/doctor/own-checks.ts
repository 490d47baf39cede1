import { triggerTopic } from "../../domain/mail/sns-message.ts";
import type { Database } from "../../storage/database.ts";
import type { HeardTopic } from "../../storage/topics.ts";
import { lookAtAccountStatuses } from "./account-status.ts";
import { type Area, type Check, type Observation, ok, type Patient, type Store, skipped } from "./check.ts";
import { compareWithDatabase } from "./clock.ts";
import { lookAtApiKeys, lookAtConfiguration } from "./configuration.ts";
import { lookAtServer, lookAtTables } from "./database.ts";
import { lookAtFailedBatches, lookAtQuarantine } from "./journal.ts";
import { lookAtPostgresQueue, lookAtRedis, lookAtWorkers } from "./queue.ts";
import { lookAtTopic } from "./topics.ts";
import { lookAtLanes, lookAtSecrets } from "./webhooks.ts";

export type Stored = {
  /** Answers, whatever its tables are. */
  server: Store;
  /** Has the tables of this version. */
  store: Store;
  /** What is allow-listed in the database, queues among them; or why that cannot be read. */
  topics: HeardTopic[] | Error;
};

/** The topics that are allow-listed, in the database or in the environment. */
export function topicArns({ config }: Pick<Patient, "config">, { topics }: Stored): string[] {
  const stored = topics instanceof Error ? [] : topics.map(({ arn }) => arn);
  return [...new Set([...config.topicArns, ...stored.filter(isTopic)])];
}

function withTopics({ store, topics }: Stored): Store {
  return topics instanceof Error ? { unreadable: topics.message } : store;
}

/** Checks of what is ours: configuration, database, queue, journal, webhooks. */
export function ownChecks(patient: Patient, stored: Stored): Check[] {
  const { config, clock, encryptionKeys } = patient;
  const { server, store } = stored;
  const now = clock.now();
  return [
    {
      area: "configuration",
      subject: "the configuration",
      look: () => lookAtConfiguration(config, topicArns(patient, stored), withTopics(stored)),
    },
    { area: "configuration", subject: "the API keys", look: () => lookAtApiKeys(config, store) },
    reading(server, "database", "the server", (db) => lookAtServer(db, patient)),
    reading(store, "database", "its tables", (db) => lookAtTables(db, now)),
    ...queueChecks(patient, stored),
    reading(store, "queue", "what waits for workers", (db) => lookAtWorkers(db, now)),
    reading(server, "clock", "the database's clock", (db) => compareWithDatabase(db, clock)),
    reading(store, "topics", "the topics", () => storedTopics(stored)),
    reading(store, "ses", "what SES says of the account", lookAtAccountStatuses),
    reading(store, "journal", "the quarantine", (db) => lookAtQuarantine(db, now)),
    reading(store, "journal", "failed batches", (db) => lookAtFailedBatches(db, now)),
    reading(store, "webhooks", "the webhook endpoints", (db) => lookAtLanes(db, now)),
    reading(store, "webhooks", "their secrets", (db) => lookAtSecrets(db, encryptionKeys)),
  ];
}

function queueChecks({ config, timeoutMs }: Patient, { server }: Stored): Check[] {
  if (config.redisUrls.length === 0) {
    return [reading(server, "queue", "BullMQ's tables", lookAtPostgresQueue)];
  }
  return config.redisUrls.map((url) => ({
    area: "queue",
    subject: `Redis at ${new URL(url).host}`,
    look: () => lookAtRedis(url, timeoutMs * 0.8),
  }));
}

/** A check that is skipped while the database cannot be read. */
function reading(
  store: Store,
  area: Area,
  subject: string,
  look: (db: Database) => Promise<Observation[]> | Observation[],
): Check {
  if ("db" in store) return { area, subject, look: () => look(store.db) };
  const seen = skipped(`Doctor did not look at ${subject}: ${store.unreadable}.`);
  return { area, subject, look: () => [seen] };
}

function storedTopics({ topics }: Stored): Observation[] {
  if (topics instanceof Error) throw topics;
  const found = topics.filter(({ arn }) => isTopic(arn)).flatMap(lookAtTopic);
  return found.length > 0 ? found : [ok("No topic is allow-listed in the database yet.")];
}

/** Beside the topics of AWS stand queues, for what they hold without an envelope, and the topic of `fanmail trigger`. */
function isTopic(arn: string): boolean {
  return arn.split(":")[2] === "sns" && arn !== triggerTopic;
}
