import { setMaxListeners } from "node:events";
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { pause } from "../clock.ts";
import { RefusedError, refusalCause, UnavailableError } from "../domain/errors.ts";
import { claimsToBeSnsMessage } from "../domain/mail/sns-message.ts";
import { errorText, type Logger } from "../logger.ts";
import type { Intake, IntakeOutcome } from "./intake.ts";

/** The most that SQS gives at once. */
const maxMessages = 10;
/** The most that SQS waits for a message. */
const waitSeconds = 20;
/** After a crash, messages come back after this time. */
const defaultVisibilitySeconds = 20;
/** Receives that are under way at the same time while there is a backlog. */
const maxPollers = 10;
const longestBackOffMs = 30_000;
/** Tries for a message whose own certificate or confirmation is unavailable; then it goes back to the SQS queue. */
const maxTriesForItself = 5;
const firstPauseMs = 500;
const longestPauseMs = 10_000;

export type SqsConsumer = {
  /** Receives no more, and finishes what it has received. */
  close(): Promise<void>;
};

type SqsConsumerOptions = {
  client: SQSClient;
  queueUrl: string;
  /** Raw notifications are filed under it. */
  queueArn: string;
  /** How long received messages are hidden from other consumers; extended while we work on them. */
  visibilitySeconds?: number;
  intake: Pick<Intake, "accept" | "acceptRaw">;
  log: Logger;
};

/**
 * Takes in the messages of an SQS queue. Each message is deleted after the commit that holds it. One receive waits while
 * the queue is empty; as long as receives come back full, more of them run in parallel.
 */
export function consumeQueue(options: SqsConsumerOptions): SqsConsumer {
  const stopping = new AbortController();
  const pollers = new Set<Promise<void>>();
  const poll: Poll = {
    visibilitySeconds: defaultVisibilitySeconds,
    ...options,
    stopping: stopping.signal,
  };
  // Each receive, and each message that waits for the database, listens to it.
  setMaxListeners(maxPollers * (maxMessages + 1), stopping.signal);

  let active = 0;

  function startPoller(): void {
    active++;
    const poller = keepPolling(poll, {
      onFull: () => {
        if (active < maxPollers) startPoller();
      },
      mayLeave() {
        if (active === 1) return false;
        active--;
        return true;
      },
    }).finally(() => pollers.delete(poller));
    pollers.add(poller);
  }

  startPoller();
  return {
    async close() {
      stopping.abort();
      await Promise.all(pollers);
      options.client.destroy();
    },
  };
}

type Poll = SqsConsumerOptions & { visibilitySeconds: number; stopping: AbortSignal };

/** @property mayLeave asked when the SQS queue is empty; the last poller may not leave. */
type OtherPollers = { onFull(): void; mayLeave(): boolean };

/** Ends when the consumer stops, or the poller may leave. */
async function keepPolling(poll: Poll, { onFull, mayLeave }: OtherPollers): Promise<void> {
  let failures = 0;
  while (!poll.stopping.aborted) {
    try {
      const messages = await receive(poll);
      failures = 0;
      if (messages.length === 0 && mayLeave()) return;
      if (messages.length === maxMessages) onFull();
      await takeAll(poll, messages);
    } catch (error) {
      if (poll.stopping.aborted) return;
      poll.log.warn({ queue: poll.queueArn, cause: errorText(error) }, "queue not reached");
      await pause(backOffMs(++failures), poll.stopping);
    }
  }
}

/** Doubles from one second; jitter keeps processes that failed together from retrying together. */
function backOffMs(failures: number): number {
  return Math.min(1_000 * 2 ** (failures - 1), longestBackOffMs) * (0.75 + Math.random() / 2);
}

async function receive({ client, queueUrl, visibilitySeconds, stopping }: Poll): Promise<Message[]> {
  const command = new ReceiveMessageCommand({
    QueueUrl: queueUrl,
    MaxNumberOfMessages: maxMessages,
    WaitTimeSeconds: waitSeconds,
    VisibilityTimeout: visibilitySeconds,
    MessageSystemAttributeNames: ["SentTimestamp"],
  });
  return (await client.send(command, { abortSignal: stopping })).Messages ?? [];
}

async function takeAll(poll: Poll, messages: readonly Message[]): Promise<void> {
  if (messages.length === 0) return;
  const pending = new Set(messages);
  const extending = setInterval(
    () => void changeVisibility(poll, [...pending], poll.visibilitySeconds),
    (poll.visibilitySeconds * 1_000) / 3,
  );
  const done: Message[] = [];
  try {
    await Promise.all(
      messages.map(async (message) => {
        if (await takeMessage(message, poll)) done.push(message);
        pending.delete(message);
      }),
    );
  } finally {
    clearInterval(extending);
  }
  await remove(poll, done);
  // When stopping, what is left is visible to other consumers at once.
  const left = poll.stopping.aborted ? messages.filter((message) => !done.includes(message)) : [];
  await changeVisibility(poll, left, 0);
}

/** A message that cannot be deleted comes again, is found to be a duplicate, and is deleted then. */
async function remove(
  { client, queueUrl, queueArn, log }: Poll,
  messages: readonly Message[],
): Promise<void> {
  if (messages.length === 0) return;
  const Entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
  const { Failed = [] } = await client.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
  if (Failed.length > 0)
    log.warn({ queue: queueArn, count: Failed.length, cause: Failed[0]?.Code }, "messages not deleted");
}

/** If it fails, another consumer receives the message as well, which costs a duplicate and nothing more. */
async function changeVisibility(
  { client, queueUrl, queueArn, log }: Poll,
  messages: readonly Message[],
  seconds: number,
): Promise<void> {
  if (messages.length === 0) return;
  const Entries = messages.map(({ ReceiptHandle }, index) => ({
    Id: String(index),
    ReceiptHandle,
    VisibilityTimeout: seconds,
  }));
  try {
    await client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: queueUrl, Entries }));
  } catch (error) {
    log.warn({ queue: queueArn, cause: errorText(error) }, "visibility not extended");
  }
}

/**
 * While the database is away a message waits here rather than in the SQS queue, where every new receipt would count
 * towards `maxReceiveCount` and move good messages to the dead letters.
 *
 * @returns whether it can be deleted: it is durable, or holds nothing to keep. Any other message stays in the SQS queue,
 * and SQS repeats it or moves it to the dead letters.
 */
async function takeMessage(message: Message, options: Poll): Promise<boolean> {
  let pauseMs = firstPauseMs;
  for (let attempt = 1; !options.stopping.aborted; attempt++) {
    try {
      await accept(message, options);
      return true;
    } catch (error) {
      if (!isWorthAnother(error, attempt)) {
        leave(message, error, options);
        return false;
      }
    }
    await pause(pauseMs, options.stopping);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
  return false;
}

function accept(
  { Body = "", MessageId = "", Attributes }: Message,
  { intake, queueArn }: Poll,
): Promise<IntakeOutcome> {
  if (claimsToBeSnsMessage(Body)) return intake.accept(Body, "sqs");
  // Raw delivery carries no signature: the queue's policy must let SNS alone write to it.
  const sentAtMs = Number(Attributes?.SentTimestamp);
  const sentAt = Number.isFinite(sentAtMs) ? new Date(sentAtMs) : null;
  return intake.acceptRaw({ sourceArn: queueArn, messageId: MessageId, sentAt, message: Body }, "sqs");
}

function isWorthAnother(error: unknown, attempt: number): boolean {
  if (error instanceof RefusedError) return false;
  if (error instanceof UnavailableError && !error.isOfOneMessage) return true;
  return attempt < maxTriesForItself;
}

function leave({ MessageId }: Message, error: unknown, { log, queueArn }: Poll): void {
  const cause = refusalCause(error) ?? errorText(error);
  log.warn({ queue: queueArn, sqs_message_id: MessageId, cause }, "message left in the queue");
}
