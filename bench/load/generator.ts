import { readFile } from "node:fs/promises";
import { type Connection, openConnection } from "./connection.ts";
import type { LoadOrder, LoadReport, LoadWord } from "./load.ts";
import { readBodies, type StoredBody } from "./stored-bodies.ts";

/*
 * The process that posts the corpus as SNS does. It is told what to do by messages from its parent, and counts only 200s:
 * anything else ends it.
 */

let stored: StoredBody[] = [];

process.on("disconnect", () => process.exit());
process.on("message", (order: LoadOrder) => {
  void follow(order).catch((error: unknown) => {
    tell({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
  });
});

async function follow(order: LoadOrder): Promise<void> {
  if (order.kind === "read") {
    stored = readBodies(await readFile(order.file));
    tell({ kind: "read" });
    return;
  }
  tell({ kind: "posted", report: await post(order) });
}

function tell(word: LoadWord): void {
  process.send?.(word);
}

type Post = Extract<LoadOrder, { kind: "post" }>;

async function post(order: Post): Promise<LoadReport> {
  const bodies = stored.filter(({ block }) => block < order.blocks);
  const requests = bodies.map(({ body }) => requestOf(order, body));
  // Before the first request, so that making the buffers is not part of the measurement.
  const startedMs = performance.now();
  const latenciesMs = await postAll(order, requests, startedMs);
  const seconds = (performance.now() - startedMs) / 1000;
  return { posted: requests.length, startedAtMs: performance.timeOrigin + startedMs, seconds, latenciesMs };
}

function requestOf({ origin, path }: Post, body: Buffer): Buffer {
  const header = [
    `POST ${path} HTTP/1.1`,
    "x-amz-sns-message-type: Notification",
    "x-amz-sns-topic-arn: arn:aws:sns:eu-west-1:123456789012:ses-events",
    `Content-Length: ${body.length}`,
    "Content-Type: text/plain; charset=UTF-8",
    `Host: ${new URL(origin).host}`,
    "Connection: Keep-Alive",
    "User-Agent: Amazon Simple Notification Service Agent",
    "Accept-Encoding: gzip,deflate",
  ];
  return Buffer.concat([Buffer.from(`${header.join("\r\n")}\r\n\r\n`), body]);
}

/** @returns the times from when a request was due to its reply, in order of the replies. */
function postAll(order: Post, requests: readonly Buffer[], startedMs: number): Promise<number[]> {
  const { promise, resolve, reject } = withResolvers<number[]>();
  const latenciesMs: number[] = [];
  const idle: Line[] = [];
  const lines: Line[] = [];
  let next = 0;
  let isOver = false;

  const finish = (end: () => void) => {
    isOver = true;
    clearInterval(timer);
    for (const { connection } of lines) connection.close();
    end();
  };
  const dueAt = (place: number) =>
    order.perSecond === null ? performance.now() : startedMs + (place * 1000) / order.perSecond;
  const sendNext = (line: Line) => {
    const request = requests[next];
    if (request === undefined) return;
    if (dueAt(next) > performance.now()) {
      idle.push(line);
      return;
    }
    if (order.sampleEvery !== null && next % order.sampleEvery === 0)
      tell({ kind: "sent", place: next, atMs: performance.timeOrigin + performance.now() });
    line.dueMs = dueAt(next);
    next++;
    line.connection.send(request);
  };
  // A paced load is looked at each millisecond; without a pace every reply sends the next request.
  const timer = setInterval(() => {
    for (const line of idle.splice(0)) sendNext(line);
  }, 1);

  const onReply = (line: Line) => (status: number, text: string) => {
    if (isOver) return;
    if (status !== 200) {
      finish(() => reject(new Error(`A request was answered ${status}: ${text.slice(0, 500)}`)));
      return;
    }
    latenciesMs.push(performance.now() - line.dueMs);
    if (latenciesMs.length === requests.length) finish(() => resolve(latenciesMs));
    else sendNext(line);
  };
  void openLines(order, onReply, lines).then(() => {
    for (const line of lines) sendNext(line);
  }, reject);
  return promise;
}

/** @property dueMs when its current request was due. */
type Line = { connection: Connection; dueMs: number };

async function openLines(
  { connections, origin }: Post,
  onReply: (line: Line) => (status: number, text: string) => void,
  lines: Line[],
): Promise<void> {
  for (let number = 0; number < connections; number++) {
    const line: Line = { connection: { send: () => {}, close: () => {} }, dueMs: 0 };
    line.connection = await openConnection(origin, onReply(line));
    lines.push(line);
  }
}

function withResolvers<Value>() {
  let resolve: (value: Value) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<Value>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
