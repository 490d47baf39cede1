import { setTimeout as sleep } from "node:timers/promises";
import { type Corpus, partOf } from "./corpus/corpus.ts";
import type { Load } from "./load/load.ts";
import { isSend, type Side } from "./sides/side.ts";

/** Times in milliseconds. */
export type Visibility = { perSecond: number; toAnswerMs: number[]; toRowMs: number[] };

const lookEveryMs = 2;
/** So many requests are followed; only those that are about a new email count. */
const sampleEvery = 10;
const giveUpMs = 30_000;

/** Posts at a pace, and measures how long it takes until an email's row can be read. */
export async function visibility(
  { load, corpus, connections }: { load: Load; corpus: Corpus; connections: number },
  side: Side,
  { notifications, perSecond }: { notifications: number; perSecond: number },
): Promise<Visibility> {
  const part = partOf(corpus, notifications);
  const posted = new Set<string>();
  const sentAtMs = new Map<string, number>();
  const looking = new AbortController();
  const toRowMs: number[] = [];
  const onSent = (place: number, atMs: number) => {
    const one = part[place];
    // The second of two posts of an email would find the row of the first.
    const isFirst =
      one !== undefined && isSend(one) && isFirstOf(part, place) && !posted.has(one.email.messageId);
    if (!isFirst) return;
    posted.add(one.email.messageId);
    sentAtMs.set(one.email.messageId, atMs);
  };
  const watching = watch(side, sentAtMs, toRowMs, looking.signal);
  const options = { ...side.target(), notifications, connections, perSecond, sampleEvery };
  const { latenciesMs } = await load.post(options, onSent).finally(() => looking.abort());
  await watching;
  return { perSecond, toAnswerMs: latenciesMs, toRowMs };
}

function isFirstOf(part: Corpus, place: number): boolean {
  const id = part[place]?.email.messageId;
  return part.findIndex(({ email }) => email.messageId === id) === place;
}

/** Looks for the rows until all are there, after `done`. */
async function watch(
  side: Side,
  sentAtMs: Map<string, number>,
  toRowMs: number[],
  done: AbortSignal,
): Promise<void> {
  let doneAtMs = Number.POSITIVE_INFINITY;
  while (!done.aborted || sentAtMs.size > 0) {
    if (done.aborted) doneAtMs = Math.min(doneAtMs, performance.now());
    if (performance.now() > doneAtMs + giveUpMs)
      throw new Error("An email that was posted does not become visible");
    const seen = sentAtMs.size === 0 ? [] : await side.visible([...sentAtMs.keys()]);
    const nowMs = performance.timeOrigin + performance.now();
    for (const messageId of seen) {
      toRowMs.push(nowMs - (sentAtMs.get(messageId) ?? nowMs));
      sentAtMs.delete(messageId);
    }
    await sleep(lookEveryMs);
  }
}
