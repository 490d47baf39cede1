import type { Dispatcher } from "undici";
import { type Clock, within } from "../clock.ts";
import type { Config } from "../config.ts";
import { refusalCause, UnavailableError } from "../domain/errors.ts";
import type { RawNotification } from "../domain/raw-notification.ts";
import { errorText, type Logger } from "../logger.ts";
import type { Metrics, NotificationSource } from "../metrics.ts";
import type { Queues } from "../queue/queues.ts";
import { createCertificates } from "../sns/certificates.ts";
import type { Database } from "../storage/database.ts";
import { storeBatch } from "../storage/journal.ts";
import type { Partitions } from "../storage/partitions.ts";
import { listTopics, setSubscriptionState } from "../storage/topics.ts";
import type { Tracing } from "../tracing/tracing.ts";
import {
  type Accepted,
  type AcceptOptions,
  acceptRawNotification,
  acceptSnsMessage,
  type IncomingNotification,
} from "./accept.ts";
import { type Batcher, createBatcher } from "./batcher.ts";
import { createTopicDirectory } from "./topic-directory.ts";
import { createTopicHearing } from "./topic-hearing.ts";

export type IntakeContext = {
  config: Pick<Config, "localCertificates">;
  log: Logger;
  clock: Clock;
  db: Database;
  partitions: Partitions;
  queues: Pick<Queues, "wakeApply">;
  awsDispatcher: Dispatcher;
  metrics: Metrics;
  tracing: Tracing;
};

/** What takes notifications in, for all ways by which they come to a process. */
export type Intake = {
  /** As `acceptSnsMessage`; what comes by HTTP is UnavailableError after 10 seconds. */
  accept(body: string, source: NotificationSource): Promise<Accepted>;
  /** As `acceptRawNotification`, with the same deadline. */
  acceptRaw(raw: RawNotification, source: NotificationSource): Promise<Accepted>;
  /** Commits what is waiting, and takes no more. */
  close(): Promise<void>;
};

export function openIntake(context: IntakeContext): Intake {
  const afterwards = createAfterwards();
  const batcher = journalBatcher(context, afterwards);
  const now = context.clock.now;
  const options: AcceptOptions = {
    topics: createTopicDirectory(() => listTopics(context.db), now),
    certificates: createCertificates({
      localCertificates: context.config.localCertificates,
      dispatcher: context.awsDispatcher,
      now,
    }),
    batcher,
    tracing: context.tracing,
    awsDispatcher: context.awsDispatcher,
    setSubscriptionState: (topic, state, error) => setSubscriptionState(context.db, topic, state, error),
    now,
  };
  return {
    accept: (body, source) =>
      counted(context.metrics, source, acceptSnsMessage(body, { source, at: now() }, options)),
    acceptRaw: (raw, source) =>
      counted(context.metrics, source, acceptRawNotification(raw, { source, at: now() }, options)),
    async close() {
      await batcher.close();
      await afterwards.settled();
    },
  };
}

async function counted(
  metrics: Metrics,
  source: NotificationSource,
  accepting: Promise<Accepted>,
): Promise<Accepted> {
  const stored = (accepted: Accepted) => {
    if (accepted === "stored" || accepted === "duplicate") metrics.countReceived(source, accepted);
  };
  // Also after the deadline: what is stored then is a duplicate when SNS sends it again.
  accepting.then(stored, () => {});
  try {
    return await (source === "http" ? inTime(accepting) : accepting);
  } catch (error) {
    const cause = refusalCause(error);
    if (cause === null) metrics.countUnavailable(source);
    else metrics.countRefused(source, cause);
    throw error;
  }
}

/** SNS waits for 15 s, the proxy in front of us for 12 s. */
const answerWithinMs = 10_000;

/** A database that is frozen keeps its clients waiting for minutes. */
function inTime(accepting: Promise<Accepted>): Promise<Accepted> {
  const late = () => new UnavailableError(`The notification was not stored within ${answerWithinMs} ms`);
  return within(answerWithinMs, accepting, late);
}

/** What follows a commit, and nobody waits for but who stops. */
type Afterwards = { add(work: Promise<void>): void; settled(): Promise<void> };

function createAfterwards(): Afterwards {
  const underWay = new Set<Promise<void>>();
  return {
    add(work) {
      const settling = work.finally(() => underWay.delete(settling));
      underWay.add(settling);
    },
    async settled() {
      await Promise.all(underWay);
    },
  };
}

/** Commits to the journal; when something was new, wakes a worker and notes which topics have spoken. */
function journalBatcher(context: IntakeContext, afterwards: Afterwards): Batcher<IncomingNotification> {
  const { metrics, tracing, clock } = context;
  const hear = createTopicHearing(context.db, clock.now, context.log);
  const commit = async (items: readonly IncomingNotification[]) => {
    const batchId = clock.newId();
    const startedMs = performance.now();
    const isNew = await storeBatch(context.db, context.partitions, batchId, items);
    metrics.observeCommit(items.length, (performance.now() - startedMs) / 1000);
    if (isNew.includes(true)) {
      afterwards.add(wake(context, batchId));
      afterwards.add(
        hear(new Set(items.filter((_item, place) => isNew[place]).map((item) => item.topic_id))),
      );
    }
    return isNew;
  };
  return createBatcher({
    commit: (items) =>
      tracing.commit(
        items.map(({ traceparent }) => traceparent),
        () => commit(items),
      ),
    maxBatch: 256,
    maxWaitMs: 5,
    maxCommits: 4,
    maxWaiting: 4_096,
  });
}

/** The notification is durable, and the sweep finds a batch whose wake-up is lost. */
async function wake({ queues, log }: IntakeContext, batchId: string): Promise<void> {
  await queues
    .wakeApply([{ batchId }])
    .catch((error: unknown) => log.warn({ batch_id: batchId, cause: errorText(error) }, "worker not woken"));
}
