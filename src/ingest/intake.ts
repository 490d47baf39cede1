import type { Dispatcher } from "undici";
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { RawNotification } from "../domain/raw-notification.ts";
import { errorText, type Logger } from "../logger.ts";
import type { Queues } from "../queue/queues.ts";
import { createCertificates } from "../sns/certificates.ts";
import type { Database } from "../storage/database.ts";
import { type AcceptedNotification, storeBatch } from "../storage/journal.ts";
import type { Partitions } from "../storage/partitions.ts";
import { listTopics, setSubscriptionState } from "../storage/topics.ts";
import { type Accepted, type AcceptOptions, acceptRawNotification, acceptSnsMessage } from "./accept.ts";
import { type Batcher, createBatcher } from "./batcher.ts";
import { createTopicDirectory } from "./topic-directory.ts";

export type IntakeContext = {
  config: Pick<Config, "localCertificates">;
  log: Logger;
  clock: Clock;
  db: Database;
  partitions: Partitions;
  queues: Pick<Queues, "wakeApply">;
  awsDispatcher: Dispatcher;
};

/** What takes notifications in, for all ways by which they come to a process. */
export type Intake = {
  /** As `acceptSnsMessage`. */
  accept(body: string): Promise<Accepted>;
  /** As `acceptRawNotification`. */
  acceptRaw(raw: RawNotification): Promise<Accepted>;
  /** Commits what is waiting, and takes no more. */
  close(): Promise<void>;
};

export function openIntake(context: IntakeContext): Intake {
  const wakeUps = new Set<Promise<void>>();
  const batcher = journalBatcher(context, wakeUps);
  const options: AcceptOptions = {
    topics: createTopicDirectory(() => listTopics(context.db), context.clock.now),
    certificates: createCertificates({
      localCertificates: context.config.localCertificates,
      dispatcher: context.awsDispatcher,
      now: context.clock.now,
    }),
    batcher,
    awsDispatcher: context.awsDispatcher,
    setSubscriptionState: (topic, state, error) => setSubscriptionState(context.db, topic, state, error),
    now: context.clock.now,
  };
  return {
    accept: (body) => acceptSnsMessage(body, options),
    acceptRaw: (raw) => acceptRawNotification(raw, options),
    async close() {
      await batcher.close();
      await Promise.all(wakeUps);
    },
  };
}

/** Commits to the journal, and wakes a worker when something was new. */
function journalBatcher(context: IntakeContext, wakeUps: Set<Promise<void>>): Batcher<AcceptedNotification> {
  return createBatcher({
    async commit(items) {
      const batchId = context.clock.newId();
      const isNew = await storeBatch(context.db, context.partitions, batchId, items);
      if (isNew.includes(true)) wake(context, batchId, wakeUps);
      return isNew;
    },
    maxBatch: 256,
    maxWaitMs: 5,
    maxCommits: 4,
    maxWaiting: 4_096,
  });
}

/** Nobody waits for it: the notification is durable, and the sweep finds a batch whose wake-up is lost. */
function wake({ queues, log }: IntakeContext, batchId: string, wakeUps: Set<Promise<void>>): void {
  const wakeUp = queues
    .wakeApply([{ batchId }])
    .catch((error: unknown) => log.warn({ batch_id: batchId, cause: errorText(error) }, "worker not woken"))
    .finally(() => wakeUps.delete(wakeUp));
  wakeUps.add(wakeUp);
}
