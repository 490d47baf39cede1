import type { Clock } from "../clock.ts";
import { UnavailableError } from "../domain/errors.ts";
import { triggerTopic } from "../domain/mail/sns-message.ts";
import { afterHearing, type Hearing } from "../domain/topic-silence.ts";
import { errorText, type Logger } from "../logger.ts";
import type { Metrics, StoreOutcome } from "../metrics.ts";
import type { Queues } from "../queue/queues.ts";
import type { Database } from "../storage/database.ts";
import { type AcceptedNotification, storeBatch } from "../storage/journal.ts";
import type { Partitions } from "../storage/partitions.ts";
import { type HeardTopic, listHeardTopics, writeHearing } from "../storage/topics.ts";
import { isAnotherAwaited } from "../storage/waiting-batches.ts";
import type { Tracing } from "../tracing/tracing.ts";

/** @property topic_arn names the message in traces, together with its id. */
export type IncomingNotification = AcceptedNotification & { topic_arn: string };

/** Writes notifications to the journal, in batches. */
export type JournalWriter = Batcher<IncomingNotification>;

export type WriterContext = {
  log: Logger;
  clock: Clock;
  db: Database;
  partitions: Partitions;
  queues: Pick<Queues, "wakeApply">;
  metrics: Metrics;
  tracing: Tracing;
};

/** After each commit with something new it wakes a worker, and notes which topics were heard. */
export function openJournalWriter(context: WriterContext): JournalWriter {
  const { clock, db, log, metrics, partitions, tracing } = context;
  const background = createBackground();
  const hear = createTopicHearing(db, clock.now, log);
  const commit = async (items: readonly IncomingNotification[]) => {
    const batchId = clock.newId();
    const startedMs = performance.now();
    const isNew = await storeBatch(db, partitions, batchId, items);
    metrics.observeCommit(items.length, (performance.now() - startedMs) / 1000);
    if (isNew.includes(true)) {
      const topicIds = items.filter((_item, place) => isNew[place]).map(({ topic_id }) => topic_id);
      background.add(wake(context, batchId));
      background.add(hear(new Set(topicIds)));
    }
    return isNew;
  };
  const batcher = createBatcher({
    commit: (items: readonly IncomingNotification[]) =>
      tracing.isOn ? tracing.commit(items.map(messageName), () => commit(items)) : commit(items),
    maxBatch: 256,
    maxWaitMs: 5,
    maxCommits: 4,
    maxWaiting: 4_096,
  });
  return {
    add: batcher.add,
    async close() {
      await batcher.close();
      await background.settled();
    },
  };
}

function messageName({ topic_arn, sns_message_id }: IncomingNotification) {
  return { topicArn: topic_arn, messageId: sns_message_id };
}

/**
 * Wakes a worker, unless one is at work and will find the batch by itself. The notifications are durable: the sweep finds a
 * batch whose wake-up is lost.
 */
async function wake({ db, queues, log }: WriterContext, batchId: string): Promise<void> {
  try {
    if (!(await isAnotherAwaited(db, batchId))) await queues.wakeApply([{ batchId }]);
  } catch (error) {
    log.warn({ batch_id: batchId, cause: errorText(error) }, "worker not woken");
  }
}

/** Work after a commit; only `close()` waits for it. */
type Background = { add(work: Promise<void>): void; settled(): Promise<void> };

function createBackground(): Background {
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

/** Collects items from many callers and commits them in batches; each caller is answered after the commit. */
type Batcher<Item> = {
  /**
   * Resolves once the item is durable.
   * @throws UnavailableError when the batch cannot be committed or too much is waiting.
   */
  add(item: Item): Promise<StoreOutcome>;
  /** Commits what is waiting and accepts no more. */
  close(): Promise<void>;
};

type BatcherOptions<Item> = {
  /** Commits a batch; returns for each item, in order, whether it was new. */
  commit: (items: readonly Item[]) => Promise<boolean[]>;
  maxBatch: number;
  /** How long an item waits for company while a commit runs, before a further commit starts beside it. */
  maxWaitMs: number;
  /** Commits that may run at the same time. */
  maxCommits: number;
  /** Items that may wait; beyond it callers are turned away at once. */
  maxWaiting: number;
};

type Waiting<Item> = {
  item: Item;
  resolve: (outcome: StoreOutcome) => void;
  reject: (error: Error) => void;
};

/**
 * Natural batching: when nothing is being committed an item is committed at once, alone; while a commit runs
 * the next batch collects. So an idle receiver adds no delay and a busy one has large batches.
 */
export function createBatcher<Item>(options: BatcherOptions<Item>): Batcher<Item> {
  const waiting: Waiting<Item>[] = [];
  const commits = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  function start(): void {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting.splice(0, options.maxBatch);
    const commit = commitBatch(batch, options.commit).finally(() => {
      commits.delete(commit);
      next();
    });
    commits.add(commit);
  }

  function next(): void {
    while (waiting.length >= options.maxBatch && commits.size < options.maxCommits) start();
    if (waiting.length === 0) return;
    if (commits.size === 0) start();
    else if (commits.size < options.maxCommits) timer ??= setTimeout(start, options.maxWaitMs);
  }

  return {
    add(item) {
      if (isClosed) return Promise.reject(new UnavailableError("The receiver is stopping"));
      if (waiting.length >= options.maxWaiting) {
        return Promise.reject(new UnavailableError("Too many notifications are waiting to be stored"));
      }
      return new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        // Requests that were read in the same turn of the event loop go together.
        if (waiting.length === 1) setImmediate(next);
        else if (waiting.length >= options.maxBatch) next();
      });
    },
    async close() {
      isClosed = true;
      while (waiting.length > 0 || commits.size > 0) {
        next();
        await Promise.race(commits);
      }
    },
  };
}

/** Settles every caller of a batch; never rejects. */
async function commitBatch<Item>(
  batch: readonly Waiting<Item>[],
  commit: BatcherOptions<Item>["commit"],
): Promise<void> {
  try {
    const isNew = await commit(batch.map(({ item }) => item));
    for (const [index, { resolve }] of batch.entries()) resolve(isNew[index] ? "stored" : "duplicate");
  } catch (cause) {
    const error = new UnavailableError("The notification cannot be stored now", { cause });
    for (const { reject } of batch) reject(error);
  }
}

/** Notes that topics were heard. Never rejects: the next note makes up for one that is lost. */
type TopicHearing = (topicIds: Iterable<string>) => Promise<void>;

/** Per topic and process. What is known about a topic is this old at most. */
const noteEveryMs = 10_000;

export function createTopicHearing(db: Database, now: () => Date, log: Logger): TopicHearing {
  const notedAtMs = new Map<string, number>();
  return async (topicIds) => {
    const nowMs = now().getTime();
    const due = [...topicIds].filter((id) => nowMs - (notedAtMs.get(id) ?? 0) >= noteEveryMs);
    if (due.length === 0) return;
    for (const id of due) notedAtMs.set(id, nowMs);
    await note(db, due).catch((error: unknown) => {
      log.warn({ cause: errorText(error) }, "topics not noted");
    });
  };
}

async function note(db: Database, topicIds: readonly string[]): Promise<void> {
  const known = await listHeardTopics(db, topicIds);
  await writeHearing(
    db,
    known.map((topic) => ({ id: topic.id, known: topic, heard: heardOf(topic) })),
  );
}

/** The topic of `fanmail trigger` gets no habits, so it never counts as silent: its posts are made by hand. */
function heardOf(topic: HeardTopic): Hearing {
  const heard = afterHearing(topic, topic.now);
  return topic.arn === triggerTopic ? { ...heard, heard_since: null } : heard;
}
