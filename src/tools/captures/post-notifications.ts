import { setMaxListeners } from "node:events";
import { Pool } from "undici";
import { z } from "zod";
import { pause } from "../../clock.ts";
import { jsonOrNull } from "../../domain/json.ts";
import { parseRetryAfter } from "../../domain/webhooks/retry-schedule.ts";

/** An SNS message to post. */
export type Posting = { body(): string; topicArn: string; publishedAt: Date | null; isSignedHere: boolean };

export type PostOptions<Item extends Posting = Posting> = {
  /** The receiver's address, such as `http://127.0.0.1:3000/ingest/sns`. */
  url: string;
  /** null: as fast as the receiver accepts them. */
  schedule: Schedule | null;
  /** How long one notification is retried while the receiver is unreachable or answers 429 or 5xx. */
  giveUpAfterMs: number;
  /** Stops posting early; requests in flight are finished. */
  stopping: AbortSignal;
  /** Called for each notification. @param isTaken whether the answer was 200. */
  onSettled: (item: Item, isTaken: boolean, counts: ReplayCounts) => void;
};

export type ReplayCounts = {
  stored: number;
  duplicates: number;
  /** Attempts that were answered 429 or 5xx, or not at all, and repeated. */
  retries: number;
  /** Cause → how many notifications were given up. */
  failed: Map<string, number>;
  /** Topics that the receiver does not know, or for which it does not accept the local signature. */
  distrusted: { signedHere: Set<string>; signedByAws: Set<string> };
  /** The receiver does not know the local key's certificate; posting stopped then. */
  distrustsKey: boolean;
};

const connections = 32;
const firstPauseMs = 100;
const longestPauseMs = 5_000;
const Answer = z.object({ status: z.string().optional(), error: z.string().optional() }).catch({});

/**
 * Posts SNS messages as SNS would: several at a time, each retried while the receiver is unreachable or answers 429 or
 * 5xx.
 */
export async function postNotifications<Item extends Posting>(
  items: AsyncIterable<Item>,
  options: PostOptions<Item>,
): Promise<ReplayCounts> {
  const { schedule, stopping, onSettled } = options;
  const { origin, pathname, search } = new URL(options.url);
  const pool = new Pool(origin, { connections, keepAliveTimeout: 4_000 });
  const counts = noCounts();
  const underWay = new Set<Promise<void>>();
  // Each connection may listen to it.
  setMaxListeners(connections + 2, stopping);
  const pacing = { nowMs: Date.now, pause: (milliseconds: number) => pause(milliseconds, stopping) };
  try {
    for await (const item of schedule === null ? items : paced(items, schedule, pacing)) {
      if (stopping.aborted || counts.distrustsKey) break;
      const post = postUntilTaken(pool, pathname + search, item, options, counts).then((result) => {
        underWay.delete(post);
        onSettled(item, count(counts, item, result), counts);
      });
      underWay.add(post);
      if (underWay.size >= connections) await Promise.race(underWay);
    }
  } finally {
    await Promise.all(underWay);
    await pool.close();
  }
  return counts;
}

function noCounts(): ReplayCounts {
  const distrusted = { signedHere: new Set<string>(), signedByAws: new Set<string>() };
  return { stored: 0, duplicates: 0, retries: 0, failed: new Map(), distrusted, distrustsKey: false };
}

async function postUntilTaken(
  pool: Pool,
  path: string,
  item: Posting,
  { giveUpAfterMs, stopping }: Pick<PostOptions, "giveUpAfterMs" | "stopping">,
  counts: ReplayCounts,
): Promise<PostResult> {
  const untilMs = Date.now() + giveUpAfterMs;
  const body = item.body();
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const result = await postOnce(pool, path, body);
    const isPassing = result.kind === "away" && !isDistrust(item, result.cause);
    if (!isPassing || Date.now() + pauseMs >= untilMs || stopping.aborted) return result;
    counts.retries++;
    await pause(Math.max(pauseMs, Math.min(result.retryAfterMs, longestPauseMs)), stopping);
  }
}

/** A receiver that is not configured for the local certificate asks AWS for it without success; retries cannot help. */
function isDistrust({ isSignedHere }: Posting, cause: string): boolean {
  return isSignedHere && /SNS certificate/.test(cause);
}

/** @returns whether it was accepted. */
function count(counts: ReplayCounts, item: Posting, result: PostResult): boolean {
  const { topicArn, isSignedHere } = item;
  if (result.kind === "stored") counts.stored++;
  else if (result.kind === "duplicate") counts.duplicates++;
  else {
    counts.failed.set(result.cause, (counts.failed.get(result.cause) ?? 0) + 1);
    counts.distrustsKey ||= isDistrust(item, result.cause);
    if (isSignedHere && (/^403 /.test(result.cause) || isDistrust(item, result.cause)))
      counts.distrusted.signedHere.add(topicArn);
    if (!isSignedHere && /^403 .*allow-listed/.test(result.cause))
      counts.distrusted.signedByAws.add(topicArn);
    return false;
  }
  return true;
}

type PostResult =
  | { kind: "stored" }
  | { kind: "duplicate" }
  | { kind: "refused"; cause: string }
  | { kind: "away"; cause: string; retryAfterMs: number };

async function postOnce(pool: Pool, path: string, body: string): Promise<PostResult> {
  try {
    const headers = { "content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification" };
    const answer = await pool.request({ method: "POST", path, headers, body });
    return resultOf(answer.statusCode, answer.headers["retry-after"], await answer.body.text());
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return { kind: "away", cause: `no answer (${code})`, retryAfterMs: 0 };
  }
}

function resultOf(status: number, retryAfter: string | string[] | undefined, text: string): PostResult {
  const answer = Answer.parse(jsonOrNull(text));
  if (status === 200) return { kind: answer.status === "duplicate" ? "duplicate" : "stored" };
  const cause = `${status} ${answer.error ?? ""}`.trim();
  if (status !== 429 && status < 500) return { kind: "refused", cause };
  const seconds = Array.isArray(retryAfter) ? retryAfter[0] : retryAfter;
  return { kind: "away", cause, retryAfterMs: parseRetryAfter(seconds, new Date()) };
}

/** When a notification is due, in milliseconds after the first; called for each in turn, never decreases. */
export type Schedule = (publishedAt: Date | null) => number;

/** @param perSecond notifications per second, evenly spaced. */
export function steadyRate(perSecond: number): Schedule {
  let count = 0;
  return () => (count++ / perSecond) * 1000;
}

/**
 * The timing of SNS. A notification that was captured late or has no time is due with the one before it.
 * @param factor 10 replays ten minutes in one.
 */
export function originalTiming(factor: number): Schedule {
  let first: number | null = null;
  let dueMs = 0;
  return (publishedAt) => {
    if (publishedAt === null) return dueMs;
    first ??= publishedAt.getTime();
    dueMs = Math.max(dueMs, (publishedAt.getTime() - first) / factor);
    return dueMs;
  };
}

/** The time source. */
export type Pacing = { nowMs(): number; pause(milliseconds: number): Promise<void> };

/** Yields each item when it is due, in order; overdue ones at once. */
export async function* paced<Item extends { publishedAt: Date | null }>(
  items: AsyncIterable<Item>,
  schedule: Schedule,
  { nowMs, pause }: Pacing,
): AsyncGenerator<Item> {
  let startedMs: number | null = null;
  for await (const item of items) {
    startedMs ??= nowMs();
    const waitMs = startedMs + schedule(item.publishedAt) - nowMs();
    if (waitMs > 0) await pause(waitMs);
    yield item;
  }
}
