import { setMaxListeners } from "node:events";
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { pause } from "../clock.ts";
import { errorText } from "../logger.ts";
import { type SqsMessageOptions, takeSqsMessage } from "./sqs-message.ts";

/** The most that SQS gives at once. */
const maxMessages = 10;
/** The most that SQS waits for a message. */
const waitSeconds = 20;
/** Unless given: for this long nobody else gets what we have; after a crash it comes back. */
const defaultVisibilitySeconds = 20;
/** Receives that are under way at the same time while there is a backlog. */
const maxPollers = 10;
const longestBackOffMs = 30_000;

export type SqsConsumer = {
  /** Receives no more, and finishes what it has received. */
  close(): Promise<void>;
};

export type SqsConsumerOptions = Omit<SqsMessageOptions, "stopping"> & {
  client: SQSClient;
  queueUrl: string;
  /** For how long nobody else gets what we have received; extended while we work on it. */
  visibilitySeconds?: number;
};

/**
 * Takes in what comes through a queue. Each message is deleted after the commit that holds it. One receive waits while
 * the queue is empty; as long as receives come back full, more of them are under way beside one another.
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

/** @property mayLeave asked when the queue has run dry; the last one may not. */
type Company = { onFull(): void; mayLeave(): boolean };

/** Ends when we stop, or may leave. */
async function keepPolling(poll: Poll, { onFull, mayLeave }: Company): Promise<void> {
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

/** Doubles from a second; the scatter keeps processes that failed together from coming back together. */
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
        if (await takeSqsMessage(message, poll)) done.push(message);
        pending.delete(message);
      }),
    );
  } finally {
    clearInterval(extending);
  }
  await remove(poll, done);
  // What we stop on is free for others at once.
  const left = poll.stopping.aborted ? messages.filter((message) => !done.includes(message)) : [];
  await changeVisibility(poll, left, 0);
}

/** A message that cannot be deleted comes again, is found to be known, and is deleted then. */
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

/** Without it a message is given to somebody else, which costs a duplicate and nothing more. */
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
