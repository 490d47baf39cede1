import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../bench/corpus/random.ts";
import type { Signer } from "../../bench/corpus/sign.ts";
import { type Connection, openConnection } from "../../bench/load/connection.ts";
import { workOn } from "./beside.ts";
import { type FreshMessage, messageMaker, type Posted } from "./genuine.ts";

/*
 * The process that posts more than a receiver can take: first as fast as the answers come, which shows what it can take,
 * then several times as much, whatever the answers are.
 */

export type FloodOrder = { signer: Signer; port: number; connections: number };

/** @property capacity 200s a second, as fast as they come. */
export type FloodAnswer = {
  capacity: number;
  perSecond: number;
  seconds: number;
  /** Posts that were due while every connection waited for an answer. */
  unsent: number;
  posted: Posted[];
};

/** SNS repeats what it has no 200 for, and so does this. */
const messages = 6_000;
const seed = 7;
const first = { connections: 64, seconds: 4 };
const then = { timesCapacity: 3, seconds: 8 };
/** Longer than SNS waits. */
const answersWithinMs = 20_000;

workOn(async ({ signer, port, connections }: FloodOrder): Promise<FloodAnswer> => {
  const made = messageMaker(signer, seededRandom(seed))(messages);
  const lines = await openLines(`http://127.0.0.1:${port}`, connections);
  const requests = made.map(requestOf);
  const before = await postUntil(lines.slice(0, first.connections), requests, first.seconds, null);
  const capacity = before.posted.filter(({ status }) => status === 200).length / first.seconds;
  const perSecond = Math.round(capacity * then.timesCapacity);
  const { posted, unsent } = await postUntil(lines, requests, then.seconds, perSecond);
  for (const line of lines) line.connection.close();
  return { capacity, perSecond, seconds: then.seconds, unsent, posted };
});

/** A connection, and what it waits for; null: nothing. */
type Line = { connection: Connection; settle: ((status: number | null) => void) | null };

async function openLines(origin: string, count: number): Promise<Line[]> {
  const lines: Line[] = [];
  while (lines.length < count) {
    const line: Line = { connection: { send: () => {}, close: () => {} }, settle: null };
    line.connection = await openConnection(origin, (status) => line.settle?.(status === 0 ? null : status));
    lines.push(line);
  }
  return lines;
}

type Request = { snsMessageId: string; bytes: Buffer };

function requestOf({ snsMessageId, body }: FreshMessage): Request {
  const head = [
    "POST /ingest/sns HTTP/1.1",
    "Host: fanmail",
    "Content-Type: text/plain; charset=UTF-8",
    "x-amz-sns-message-type: Notification",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return { snsMessageId, bytes: Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`) };
}

/** @param perSecond null: each line posts as soon as it has its answer. */
async function postUntil(
  lines: readonly Line[],
  requests: readonly Request[],
  seconds: number,
  perSecond: number | null,
): Promise<Pick<FloodAnswer, "posted" | "unsent">> {
  const posted: Posted[] = [];
  const idle = [...lines];
  const startedMs = performance.now();
  let next = 0;
  let unsent = 0;
  const post = (line: Line) => {
    const request = requests[next++ % requests.length];
    if (request === undefined) throw new Error("unreachable: there are requests");
    const sentMs = performance.now();
    line.settle = (status) => {
      line.settle = null;
      posted.push({ snsMessageId: request.snsMessageId, status, milliseconds: performance.now() - sentMs });
      // One without an answer is closed.
      if (status !== null) idle.push(line);
    };
    line.connection.send(request.bytes);
  };
  for (let spentMs = 0; spentMs < seconds * 1000; spentMs = performance.now() - startedMs) {
    const due = perSecond === null ? idle.length : (spentMs / 1000) * perSecond - next - unsent;
    for (const line of idle.splice(0, Math.max(0, due))) post(line);
    if (perSecond !== null) unsent += Math.max(0, Math.floor((spentMs / 1000) * perSecond) - next - unsent);
    await sleep(1);
  }
  const untilMs = performance.now() + answersWithinMs;
  while (lines.some(({ settle }) => settle !== null) && performance.now() < untilMs) await sleep(20);
  for (const { settle } of lines) settle?.(null);
  return { posted, unsent };
}
