import { expect, test } from "vitest";
import { UnavailableError } from "../../src/domain/errors.ts";
import { createBatcher } from "../../src/receive/journal-writer.ts";

/** Commits that end when the test says so. */
function heldCommits() {
  const commits: { items: readonly string[]; end: () => void; fail: (error: Error) => void }[] = [];
  const commit = (items: readonly string[]) =>
    new Promise<boolean[]>((resolve, reject) => {
      commits.push({ items, end: () => resolve(items.map((item) => !item.startsWith("old"))), fail: reject });
    });
  return { commits, commit };
}

const options = { maxBatch: 3, maxWaitMs: 60_000, maxCommits: 2, maxWaiting: 5 };
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

test("an idle batcher commits at once what came in the same turn", async () => {
  const { commits, commit } = heldCommits();
  const batcher = createBatcher({ ...options, commit });

  const answers = [batcher.add("a"), batcher.add("old b")];
  await turn();
  commits[0]?.end();

  expect(commits.map(({ items }) => items)).toEqual([["a", "old b"]]);
  expect(await Promise.all(answers)).toEqual(["stored", "duplicate"]);
});

test("nobody is answered before the commit", async () => {
  const { commits, commit } = heldCommits();
  const batcher = createBatcher({ ...options, commit });
  let isAnswered = false;

  const answer = batcher.add("a").then(() => {
    isAnswered = true;
  });
  await turn();
  expect([commits.length, isAnswered]).toEqual([1, false]);

  commits[0]?.end();
  await answer;
  expect(isAnswered).toBe(true);
});

test("while a commit runs the next batch collects, and starts when the commit ends", async () => {
  const { commits, commit } = heldCommits();
  const batcher = createBatcher({ ...options, commit });

  const first = batcher.add("a");
  await turn();
  const second = [batcher.add("b"), batcher.add("c")];
  await turn();
  expect(commits.map(({ items }) => items)).toEqual([["a"]]);

  commits[0]?.end();
  await first;
  await turn();
  expect(commits.map(({ items }) => items)).toEqual([["a"], ["b", "c"]]);
  commits[1]?.end();
  expect(await Promise.all(second)).toEqual(["stored", "stored"]);
});

test("a full batch starts beside the commit that runs, but no more than may run at a time", async () => {
  const { commits, commit } = heldCommits();
  const batcher = createBatcher({ ...options, commit });

  const answers = [batcher.add("a")];
  await turn();
  for (const item of ["b", "c", "d", "e", "f", "g"]) answers.push(batcher.add(item));
  await turn();
  expect(commits.map(({ items }) => items)).toEqual([["a"], ["b", "c", "d"]]);

  commits[1]?.end();
  await turn();
  expect(commits.map(({ items }) => items)).toEqual([["a"], ["b", "c", "d"], ["e", "f", "g"]]);
  commits[0]?.end();
  commits[2]?.end();
  expect(await Promise.all(answers)).toHaveLength(7);
});

test("an item waits no longer than maxWaitMs for a commit that hangs", async () => {
  const { commits, commit } = heldCommits();
  const batcher = createBatcher({ ...options, maxWaitMs: 1, commit });

  const first = batcher.add("a");
  await turn();
  const second = batcher.add("b");
  while (commits.length < 2) await turn();
  commits[1]?.end();

  expect(await second).toBe("stored");
  commits[0]?.end();
  await first;
});

test("beyond what may wait callers are turned away at once, and those who wait are not", async () => {
  const { commits, commit } = heldCommits();
  const batcher = createBatcher({ ...options, maxCommits: 1, commit });

  const answers = [batcher.add("a")];
  await turn();
  for (const item of ["b", "c", "d", "e", "f"]) answers.push(batcher.add(item));
  await expect(batcher.add("g")).rejects.toThrow("Too many notifications are waiting to be stored");

  for (let done = 0; done < 3; done++) {
    commits[done]?.end();
    await turn();
  }
  expect(await Promise.all(answers)).toHaveLength(6);
});

test("a commit that fails is told to all of its batch as unavailable, with the cause, and to nobody else", async () => {
  const { commits, commit } = heldCommits();
  const batcher = createBatcher({ ...options, commit });

  const failing = [batcher.add("a"), batcher.add("b")];
  await turn();
  const later = batcher.add("c");
  commits[0]?.fail(new Error("disk full"));
  const results = await Promise.allSettled(failing);
  await turn();
  commits[1]?.end();

  const reasons = results.map((result) => (result.status === "rejected" ? result.reason : null));
  expect(reasons).toEqual([expect.any(UnavailableError), expect.any(UnavailableError)]);
  expect(reasons[0]?.cause).toEqual(new Error("disk full"));
  expect(await later).toBe("stored");
});

test("closing commits what waits, and takes no more", async () => {
  const { commits, commit } = heldCommits();
  const batcher = createBatcher({ ...options, commit });

  const answers = [batcher.add("a")];
  await turn();
  answers.push(batcher.add("b"));
  const closed = batcher.close();
  await expect(batcher.add("c")).rejects.toThrow("The receiver is stopping");
  commits[0]?.end();
  await turn();
  commits[1]?.end();
  await closed;

  expect(await Promise.all(answers)).toEqual(["stored", "stored"]);
});
