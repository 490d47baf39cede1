import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Context } from "./context.ts";
import { createApp } from "./http/app.ts";
import { type Batcher, createBatcher } from "./ingest/batcher.ts";
import { createReceiver } from "./ingest/receiver.ts";
import { createTopicDirectory } from "./ingest/topic-directory.ts";
import { errorText } from "./logger.ts";
import { createCertificates } from "./sns/certificates.ts";
import { type AcceptedNotification, storeBatch } from "./storage/journal.ts";
import { listTopics, setSubscriptionState } from "./storage/topics.ts";

/** The HTTP side of a process. */
export type Front = {
  /** `http://host:port` */
  url: string;
  /** Stops accepting and answers what has been received. */
  close(): Promise<void>;
};

/** Longer than any sender or load balancer keeps an idle connection: who closes first must not be us. */
const keepAliveTimeoutMs = 120_000;
const requestTimeoutMs = 30_000;
/** After this, connections that still hold a request are cut; SNS sends it again. */
const closeGraceMs = 4_000;

/** Listens with the receiver and the API on one port. */
export async function startFront(context: Context): Promise<Front> {
  const wakeUps = new Set<Promise<void>>();
  const batcher = journalBatcher(context, wakeUps);
  const receive = createReceiver({
    topics: createTopicDirectory(() => listTopics(context.db), context.clock.now),
    certificates: createCertificates({
      localCertificates: context.config.localCertificates,
      dispatcher: context.awsDispatcher,
      now: context.clock.now,
    }),
    batcher,
    awsDispatcher: context.awsDispatcher,
    setSubscriptionState: (topic, state, error) => setSubscriptionState(context.db, topic, state, error),
    log: context.log,
  });
  const app = createApp(context);
  const server = createServer((request, response) => {
    response.setHeader("x-request-id", requestId(request) ?? context.clock.newId());
    if (!server.listening) response.setHeader("connection", "close");
    if (isIngest(request)) void receive(request, response);
    else app(request, response);
  });
  server.keepAliveTimeout = keepAliveTimeoutMs;
  server.headersTimeout = keepAliveTimeoutMs + 5_000;
  server.requestTimeout = requestTimeoutMs;
  await listen(server, context.config.host, context.config.port);
  return {
    url: urlOf(server),
    async close() {
      await closeServer(server);
      await batcher.close();
      await Promise.all(wakeUps);
    },
  };
}

/** The caller's own id, where it is one that a log line can hold. */
function requestId({ headers }: IncomingMessage): string | null {
  const given = headers["x-request-id"];
  return typeof given === "string" && /^[\w.:-]{1,128}$/.test(given) ? given : null;
}

function isIngest(request: IncomingMessage): boolean {
  return request.method === "POST" && /^\/ingest\/sns\/?(\?|$)/.test(request.url ?? "");
}

/** Commits to the journal, and wakes a worker when something was new. */
function journalBatcher(context: Context, wakeUps: Set<Promise<void>>): Batcher<AcceptedNotification> {
  return createBatcher({
    async commit(items) {
      const batchId = context.clock.newId();
      const isNew = await storeBatch(context.db, context.partitions, batchId, items);
      if (isNew.includes(true)) wake(context, batchId, wakeUps);
      return isNew;
    },
    maxBatch: 256,
    maxWaitMs: 5,
    maxCommits: 4,
    maxWaiting: 4_096,
  });
}

/** Nobody waits for it: the notification is durable, and the sweep finds a batch whose wake-up is lost. */
function wake({ queues, log }: Context, batchId: string, wakeUps: Set<Promise<void>>): void {
  const wakeUp = queues
    .wakeApply([{ batchId }])
    .catch((error: unknown) => log.warn({ batch_id: batchId, cause: errorText(error) }, "worker not woken"))
    .finally(() => wakeUps.delete(wakeUp));
  wakeUps.add(wakeUp);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(new Error(`Cannot listen on ${host}:${port}`, { cause })));
    server.listen(port, host, resolve);
  });
}

function urlOf(server: Server): string {
  // A TCP server's address is never a string.
  const { address, port, family } = server.address() as AddressInfo;
  return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection becomes idle after the answer that it waits for.
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const cut = setTimeout(() => server.closeAllConnections(), closeGraceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}
