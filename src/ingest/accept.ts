import type { Dispatcher } from "undici";
import { RefusedError, UnavailableError } from "../domain/errors.ts";
import { nameOfRaw, type RawNotification, unsignedEnvelope } from "../domain/raw-notification.ts";
import { parseSnsMessage, type SnsConfirmation, type SnsMessage } from "../domain/sns-message.ts";
import type { NotificationSource } from "../metrics.ts";
import type { Certificates } from "../sns/certificates.ts";
import { confirmSubscription } from "../sns/confirm-subscription.ts";
import { verifySnsMessage } from "../sns/verify.ts";
import type { AcceptedNotification } from "../storage/journal.ts";
import type { SubscriptionState, Topic } from "../storage/topics.ts";
import type { Tracing } from "../tracing/tracing.ts";
import type { Batcher, Stored } from "./batcher.ts";
import type { TopicDirectory } from "./topic-directory.ts";

export type Accepted = Stored | "confirmed" | "unsubscribed";

/** By which way a message came, and when all of it was here. */
export type Arrival = { source: NotificationSource; at: Date };

/** What the batcher collects. @property traceparent null where the message is not traced. */
export type IncomingNotification = AcceptedNotification & { traceparent: string | null };

export type AcceptOptions = {
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
export async function acceptSnsMessage(
  body: string,
  arrival: Arrival,
  options: AcceptOptions,
): Promise<Accepted> {
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
export async function acceptRawNotification(
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
