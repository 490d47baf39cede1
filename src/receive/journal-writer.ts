import { UnavailableError } from "../domain/errors.ts";

export type Stored = "stored" | "duplicate";

/** Collects what callers bring and commits it in batches; each caller is answered after the commit. */
export type Batcher<Item> = {
  /**
   * Resolves once the item is durable.
   * @throws UnavailableError when the batch cannot be committed or too much is waiting.
   */
  add(item: Item): Promise<Stored>;
  /** Commits what is waiting and takes no more. */
  close(): Promise<void>;
};

export type BatcherOptions<Item> = {
  /** Commits a batch; says of each item, in order, whether it was new. */
  commit: (items: readonly Item[]) => Promise<boolean[]>;
  maxBatch: number;
  /** How long an item waits for company while a commit runs, before a further commit starts beside it. */
  maxWaitMs: number;
  /** Commits that may run at the same time. */
  maxCommits: number;
  /** Items that may wait; beyond it callers are turned away at once. */
  maxWaiting: number;
};

type Waiting<Item> = { item: Item; resolve: (stored: Stored) => void; reject: (error: Error) => void };

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
