import { allWithin } from "../clock.ts";
import type { Config } from "../config.ts";
import { connectionLimit } from "../descriptors.ts";
import { RefusedError, refusalCause, UnavailableError } from "../domain/errors.ts";
import { nameOfRaw, type RawNotification, unsignedEnvelope } from "../domain/mail/raw-notification.ts";
import { parseSnsMessage, type SnsConfirmation, type SnsMessage } from "../domain/mail/sns-message.ts";
import type { NotificationSource, StoreOutcome } from "../metrics.ts";
import { listTopics, type SubscriptionState, setSubscriptionState, type Topic } from "../storage/topics.ts";
import { type Admission, createAdmission } from "./admission.ts";
import { type AwsDispatcher, confirmSubscription } from "./aws-documents.ts";
import {
  type IncomingNotification,
  type JournalWriter,
  openJournalWriter,
  type WriterContext,
} from "./journal-writer.ts";
import { type Certificates, createCertificates, verifySnsMessage } from "./signature.ts";
import { createTopicDirectory, type TopicDirectory } from "./topic-directory.ts";

export type IntakeContext = WriterContext & {
  config: Pick<Config, "localCertificates">;
  awsDispatcher: AwsDispatcher;
};

export type IntakeOutcome = StoreOutcome | "confirmed" | "unsubscribed";

/** How a message came, and when all of it was here. */
type Arrival = { source: NotificationSource; at: Date };

/** Takes in notifications, however they reach the process. The methods stand in the order in which a notification passes them. */
export class Intake {
  readonly #context: IntakeContext;
  readonly #topics: TopicDirectory;
  readonly #certificates: Certificates;
  readonly #journal: JournalWriter;
  readonly #admit: Admission = createAdmission({
    // The other connections are there to be told that this is too much.
    mostMessages: Math.floor(connectionLimit() * 0.75),
    mostBytes: 64 * 1024 * 1024,
  });

  constructor(context: IntakeContext) {
    const { config, db, awsDispatcher, clock } = context;
    this.#context = context;
    this.#topics = createTopicDirectory(() => listTopics(db), clock.now);
    this.#certificates = createCertificates({
      localCertificates: config.localCertificates,
      dispatcher: awsDispatcher,
      now: clock.now,
    });
    this.#journal = openJournalWriter(context);
  }

  /**
   * Takes in an SNS message; resolves when it is durable.
   * @param body the signed envelope.
   * @throws RefusedError when it will never be accepted.
   * @throws UnavailableError when it may be accepted later; over HTTP also after 10 seconds, and at once while too many others wait.
   */
  accept(body: string, source: NotificationSource): Promise<IntakeOutcome> {
    return this.#observed(source, body, (arrival) => this.#acceptSigned(body, arrival));
  }

  /**
   * Takes in a raw notification. Nothing in it proves its origin: the caller vouches for that.
   * @throws RefusedError, UnavailableError as `accept` does.
   */
  acceptRaw(raw: RawNotification, source: NotificationSource): Promise<IntakeOutcome> {
    return this.#observed(source, raw.message, (arrival) => this.#acceptUnsigned(raw, arrival));
  }

  /** Commits what is waiting, and accepts no more. */
  close(): Promise<void> {
    return this.#journal.close();
  }

  /** Nearly always topic and certificate are known, and nothing is waited for but the commit. */
  #acceptSigned(body: string, arrival: Arrival): Promise<IntakeOutcome> {
    const message = parseSnsMessage(body);
    const verified = whenKnown(this.#allowListed(message.TopicArn), (topic) =>
      whenKnown(verifySnsMessage(message, this.#certificates), () => topic),
    );
    return whenKnown(verified, (topic) => this.#take(message, topic, body, arrival));
  }

  /** Not `async`: what has been read would be kept until the commit. */
  #take(message: SnsMessage, topic: Topic, body: string, arrival: Arrival): Promise<IntakeOutcome> {
    switch (message.Type) {
      case "Notification":
        return this.#store(signedNotification(message, topic, body), arrival);
      case "SubscriptionConfirmation":
        return this.#confirm(message, topic);
      case "UnsubscribeConfirmation":
        // Its SubscribeURL would subscribe again, so it is recorded and not visited.
        return this.#noteSubscription(topic, "unsubscribed", null).then(() => "unsubscribed");
      default:
        throw new Error(`unreachable: ${message satisfies never}`);
    }
  }

  async #acceptUnsigned(raw: RawNotification, arrival: Arrival): Promise<IntakeOutcome> {
    const topic = await this.#allowListed(raw.sourceArn);
    return this.#store(rawNotification(raw, topic, this.#context.clock.now()), arrival);
  }

  #allowListed(arn: string): Topic | Promise<Topic> {
    return whenKnown(this.#topics.find(arn), (topic) => {
      if (topic !== null) return topic;
      throw new RefusedError(
        403,
        "unknown_topic",
        "This topic is not allow-listed; allow it with SNS_TOPIC_ARNS or `fanmail topics add`",
      );
    });
  }

  #store(notification: IncomingNotification, arrival: Arrival): Promise<StoreOutcome> {
    const storing = this.#journal.add(notification);
    return this.#context.tracing.isOn ? this.#traced(notification, arrival, storing) : storing;
  }

  async #traced(
    { topic_arn, sns_message_id }: IncomingNotification,
    { source, at }: Arrival,
    storing: Promise<StoreOutcome>,
  ): Promise<StoreOutcome> {
    const { tracing } = this.#context;
    const message = { topicArn: topic_arn, messageId: sns_message_id };
    try {
      const outcome = await storing;
      tracing.received({ message, source, arrivedAt: at, outcome });
      return outcome;
    } catch (error) {
      tracing.received({ message, source, arrivedAt: at, outcome: "unavailable" });
      throw error;
    }
  }

  async #confirm(message: SnsConfirmation, topic: Topic): Promise<IntakeOutcome> {
    try {
      await confirmSubscription(message, this.#context.awsDispatcher);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      await this.#noteSubscription(topic, "confirmation_failed", reason);
      throw new UnavailableError("The subscription cannot be confirmed now", { cause, isOfOneMessage: true });
    }
    await this.#noteSubscription(topic, "confirmed", null);
    return "confirmed";
  }

  async #noteSubscription(topic: Topic, state: SubscriptionState, error: string | null): Promise<void> {
    try {
      await setSubscriptionState(this.#context.db, topic, state, error);
    } catch (cause) {
      throw new UnavailableError("The state of the subscription cannot be stored now", { cause });
    }
  }

  async #observed(
    source: NotificationSource,
    text: string,
    accept: (arrival: Arrival) => Promise<IntakeOutcome>,
  ): Promise<IntakeOutcome> {
    const { clock, metrics } = this.#context;
    const countStored = (outcome: IntakeOutcome) => {
      if (outcome === "stored" || outcome === "duplicate") metrics.countReceived(source, outcome);
    };
    try {
      const arrival = { source, at: clock.now() };
      // A queue sends no more than it is asked for.
      const accepting = source === "http" ? this.#admit(text.length, () => accept(arrival)) : accept(arrival);
      // Also after the deadline: what is stored then is a duplicate when SNS sends it again.
      accepting.then(countStored, () => {});
      return await (source === "http" ? inTime(accepting) : accepting);
    } catch (error) {
      const cause = refusalCause(error);
      if (cause === null) metrics.countUnavailable(source);
      else metrics.countRefused(source, cause);
      throw error;
    }
  }
}

/** Goes on at once with a value that is there, and with one that is on its way when it comes. */
function whenKnown<Value, Result>(
  value: Value | Promise<Value>,
  next: (value: Value) => Result,
): Result | Promise<Awaited<Result>>;
function whenKnown<Value, Result>(value: Value | Promise<Value>, next: (value: Value) => Result) {
  return value instanceof Promise ? value.then(next) : next(value);
}

function signedNotification(message: SnsMessage, topic: Topic, body: string): IncomingNotification {
  return {
    project_id: topic.project_id,
    topic_id: topic.id,
    topic_arn: topic.arn,
    sns_message_id: message.MessageId,
    sns_timestamp: new Date(message.Timestamp),
    body,
  };
}

function rawNotification(raw: RawNotification, topic: Topic, now: Date): IncomingNotification {
  const name = nameOfRaw(raw, now);
  return {
    project_id: topic.project_id,
    topic_id: topic.id,
    topic_arn: topic.arn,
    sns_message_id: name.messageId,
    sns_timestamp: name.sentAt,
    body: unsignedEnvelope(raw, name),
  };
}

/** SNS waits for 15 s, the proxy in front of us for 12 s. */
const answerWithinMs = 10_000;

/** A database that is frozen keeps its clients waiting for minutes. */
const inTime = allWithin(
  answerWithinMs,
  () => new UnavailableError(`The notification was not stored within ${answerWithinMs} ms`),
);
