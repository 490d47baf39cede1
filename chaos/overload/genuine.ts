import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { messageOf } from "../../bench/corpus/payloads.ts";
import type { Random } from "../../bench/corpus/random.ts";
import { type Signer, signing } from "../../bench/corpus/sign.ts";
import { quantile } from "../../bench/measure.ts";
import { nextStory } from "../load/stories.ts";

/** A signed message that nobody has posted yet. */
export type FreshMessage = { snsMessageId: string; body: string };

/** The answer to a post. @property status null: no answer. */
export type Posted = { snsMessageId: string; status: number | null; milliseconds: number };

/** Makes as many messages as asked for, each a new one. */
export function messageMaker(signer: Signer, random: Random): (count: number) => FreshMessage[] {
  const sign = signing(signer);
  let stories = 0;
  const next = (): FreshMessage => {
    const { email } = nextStory(stories++, random);
    const snsMessageId = random.uuid();
    const message = messageOf(email, { kind: "Send" });
    return {
      snsMessageId,
      body: sign({ snsMessageId, publishedAtMs: email.sentAtMs, message, version: "1" }),
    };
  };
  return (count) => Array.from({ length: count }, next);
}

/** A client like SNS, on so many connections that stay open. */
export type Poster = { post(message: FreshMessage): Promise<Posted>; close(): Promise<void> };

/** Longer than SNS waits, so that a late answer is seen. */
const waitsForMs = 40_000;

export function openPoster(origin: string, connections: number): Poster {
  const dispatcher = new Agent({ connections, headersTimeout: waitsForMs, bodyTimeout: waitsForMs });
  const url = `${origin}/ingest/sns`;
  const headers = { "content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification" };
  return {
    async post({ snsMessageId, body }) {
      const startedMs = performance.now();
      const status = await request(url, { method: "POST", headers, body, dispatcher }).then(
        async (answer) => {
          await answer.body.dump();
          return answer.statusCode;
        },
        () => null,
      );
      return { snsMessageId, status, milliseconds: performance.now() - startedMs };
    },
    close: () => dispatcher.destroy(),
  };
}

/** Posts at a pace, whatever the answers are. */
export async function atPace(
  poster: Poster,
  messages: readonly FreshMessage[],
  perSecond: number,
): Promise<Posted[]> {
  const posts: Promise<Posted>[] = [];
  const startedMs = performance.now();
  for (const [place, message] of messages.entries()) {
    const aheadMs = startedMs + (1000 * place) / perSecond - performance.now();
    if (aheadMs > 0) await sleep(aheadMs);
    posts.push(poster.post(message));
  }
  return Promise.all(posts);
}

/** Posts on so many connections, each as soon as it has its answer. */
export async function asFastAsPossible(
  poster: Poster,
  messages: readonly FreshMessage[],
  connections: number,
) {
  const posted: Posted[] = [];
  let next = 0;
  const line = async () => {
    for (let message = messages[next++]; message !== undefined; message = messages[next++])
      posted.push(await poster.post(message));
  };
  await Promise.all(Array.from({ length: connections }, line));
  return posted;
}

/**
 * Milliseconds from the post to its answer.
 * @property p50 and p99: of those answered 200. @property slowest of any answer.
 */
export type Latencies = Record<"accepted" | "unavailable" | "other" | "p50" | "p99" | "slowest", number>;

export function latenciesOf(posted: readonly Posted[]): Latencies {
  const times = posted.filter(({ status }) => status === 200).map(({ milliseconds }) => milliseconds);
  const unavailable = posted.filter(({ status }) => status === 503).length;
  return {
    accepted: times.length,
    unavailable,
    other: posted.length - times.length - unavailable,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    slowest: posted.reduce((most, { milliseconds }) => Math.max(most, milliseconds), 0),
  };
}
