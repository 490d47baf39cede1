import type { Dispatcher } from "undici";
import { type Clock, within } from "../clock.ts";
import type { Config } from "../config.ts";
import { RefusedError, refusalCause, UnavailableError } from "../domain/errors.ts";
import { nameOfRaw, type RawNotification, unsignedEnvelope } from "../domain/mail/raw-notification.ts";
import { parseSnsMessage, type SnsConfirmation, type SnsMessage } from "../domain/mail/sns-message.ts";
import { errorText, type Logger } from "../logger.ts";
import type { Metrics, NotificationSource } from "../metrics.ts";
import type { Queues } from "../queue/queues.ts";
import type { Database } from "../storage/database.ts";
import { type AcceptedNotification, storeBatch } from "../storage/journal.ts";
import type { Partitions } from "../storage/partitions.ts";
import { listTopics, type SubscriptionState, setSubscriptionState, type Topic } from "../storage/topics.ts";
import type { Tracing } from "../tracing/tracing.ts";
import { confirmSubscription } from "./get.ts";
import { type Batcher, createBatcher, type Stored } from "./journal-writer.ts";
import { type Certificates, createCertificates, verifySnsMessage } from "./signature.ts";
import { createTopicDirectory, type TopicDirectory } from "./topic-directory.ts";
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

export type Accepted = Stored | "confirmed" | "unsubscribed";

/** By which way a message came, and when all of it was here. */
type Arrival = { source: NotificationSource; at: Date };

/** What the batcher collects. @property traceparent null where the message is not traced. */
type IncomingNotification = AcceptedNotification & { traceparent: string | null };

type AcceptOptions = {
  topics: TopicDirectory;
  certificates: Certificates;
  batcher: Batcher<IncomingNotification>;
  tracing: Pick<Tracing, "traceparentOf" | "received">;
  awsDispatcher: Dispatcher;
  setSubscriptionState: (topic: Topic, state: SubscriptionState, error: string | null) => Promise<void>;
  now: () => Date;
};

/**
 * Takes one SNS message in, from wherever it came: resolves when it is durable.
 * @throws RefusedError when it will never be accepted.
 * @throws UnavailableError when it may be accepted later.
 */
async function acceptSnsMessage(body: string, arrival: Arrival, options: AcceptOptions): Promise<Accepted> {
  const message = parseSnsMessage(body);
  const topic = await proven(message, options);
  switch (message.Type) {
    case "Notification":
      return store(notificationOf(message, topic, body), topic, arrival, options);
    case "SubscriptionConfirmation":
      return confirm(message, topic, options);
    case "UnsubscribeConfirmation":
      // Its SubscribeURL subscribes again, so that it is recorded and not visited.
      await options.setSubscriptionState(topic, "unsubscribed", null).catch(unavailable);
      return "unsubscribed";
    default:
      throw new Error(`unreachable: ${message satisfies never}`);
  }
}

/**
 * Takes one raw notification in. Nothing in it proves where it comes from: the caller answers for that.
 * @throws RefusedError, UnavailableError as `acceptSnsMessage` does.
 */
async function acceptRawNotification(
  raw: RawNotification,
  arrival: Arrival,
  options: AcceptOptions,
): Promise<Stored> {
  const topic = await allowListed(raw.sourceArn, options.topics);
  const name = nameOfRaw(raw, options.now());
  const notification = {
    project_id: topic.project_id,
    topic_id: topic.id,
    sns_message_id: name.messageId,
    sns_timestamp: name.sentAt,
    body: unsignedEnvelope(raw, name),
  };
  return store(notification, topic, arrival, options);
}

async function store(
  notification: AcceptedNotification,
  topic: Topic,
  { source, at }: Arrival,
  { batcher, tracing }: AcceptOptions,
): Promise<Stored> {
  const message = { topicArn: topic.arn, messageId: notification.sns_message_id };
  const traceparent = tracing.traceparentOf(message);
  const receipt = { message, traceparent, source, arrivedAt: at };
  try {
    const outcome = await batcher.add({ ...notification, traceparent });
    tracing.received({ ...receipt, outcome });
    return outcome;
  } catch (error) {
    tracing.received({ ...receipt, outcome: "unavailable" });
    throw error;
  }
}

/** @returns the topic, once it is known that the message comes from it. */
async function proven(message: SnsMessage, { topics, certificates }: AcceptOptions): Promise<Topic> {
  const topic = await allowListed(message.TopicArn, topics);
  await verifySnsMessage(message, certificates);
  return topic;
}

async function allowListed(arn: string, topics: TopicDirectory): Promise<Topic> {
  const topic = await topics.find(arn);
  if (topic !== null) return topic;
  throw new RefusedError(
    403,
    "unknown_topic",
    "This topic is not allow-listed; allow it with SNS_TOPIC_ARNS or `fanmail topics add`",
  );
}

function notificationOf(message: SnsMessage, topic: Topic, body: string): AcceptedNotification {
  return {
    project_id: topic.project_id,
    topic_id: topic.id,
    sns_message_id: message.MessageId,
    sns_timestamp: new Date(message.Timestamp),
    body,
  };
}

async function confirm(message: SnsConfirmation, topic: Topic, options: AcceptOptions): Promise<Accepted> {
  try {
    await confirmSubscription(message, options.awsDispatcher);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    await options.setSubscriptionState(topic, "confirmation_failed", reason).catch(unavailable);
    throw new UnavailableError("The subscription cannot be confirmed now", { cause, isOfOneMessage: true });
  }
  await options.setSubscriptionState(topic, "confirmed", null).catch(unavailable);
  return "confirmed";
}

function unavailable(cause: unknown): never {
  throw new UnavailableError("The state of the subscription cannot be stored now", { cause });
}
