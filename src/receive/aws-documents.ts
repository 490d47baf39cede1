import type { Dispatcher } from "undici";
import { UnverifiedError } from "../domain/errors.ts";
import { confirmationUrl, type SnsConfirmation } from "../domain/mail/sns-message.ts";

/** Bounds the fetches at a time that somebody can cause by inventing names. */
const maxFetches = 16;
/** Confirmations must not wait behind certificates that somebody invents. */
const connectionsForConfirmations = 8;
/** A request's own deadline counts from when it is connected. */
const connectTimeoutMs = 4_000;

/** Reaches AWS for certificates and confirmations. */
export type AwsConnections = {
  dispatcher: AwsDispatcher;
  destroy(): Promise<void>;
};

/** A promise, because undici is loaded when something is to be fetched: most processes of a deployment never do. */
export type AwsDispatcher = () => Promise<Dispatcher>;

export function awsConnections(): AwsConnections {
  let opened: Promise<Dispatcher> | undefined;
  return {
    dispatcher() {
      opened ??= openDispatcher();
      return opened;
    },
    async destroy() {
      await (await opened)?.destroy();
    },
  };
}

async function openDispatcher(): Promise<Dispatcher> {
  const { Agent } = await import("undici");
  const connections = maxFetches + connectionsForConfirmations;
  return new Agent({ connections, connect: { timeout: connectTimeoutMs } });
}

/**
 * Confirms the subscription of a verified message, at an address rebuilt from its signed parts.
 * @throws when AWS does not answer 200, with the beginning of its answer.
 */
export async function confirmSubscription(
  message: SnsConfirmation,
  dispatcher: AwsDispatcher,
): Promise<void> {
  const { status, text } = await get(confirmationUrl(message), dispatcher);
  if (status === 200) return;
  const beginning = text.slice(0, 500).replaceAll(/\s+/g, " ");
  throw new Error(`SNS answered ${status} to ConfirmSubscription: ${beginning}`);
}

const timeoutMs = 5_000;
const maxBytes = 16 * 1024;

/**
 * Gets a small document from AWS: the whole exchange within 5 seconds, no redirect followed, at most 16 KiB.
 * @param stopping ends it early.
 * @throws when there is no answer, or a longer one.
 */
export async function get(
  url: string,
  dispatcher: AwsDispatcher,
  stopping?: AbortSignal,
): Promise<{ status: number; text: string }> {
  const { request } = await import("undici");
  const reach = await dispatcher();
  const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(stopping ? [stopping] : [])]);
  const { statusCode, body } = await request(url, { dispatcher: reach, signal });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new Error(`The answer of ${new URL(url).host} is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return { status: statusCode, text: Buffer.concat(chunks).toString("utf8") };
}

/** Beyond it the name that was asked for longest ago gives way. */
const maxWaiting = 512;
/** How long a fetch may keep its slot while others wait. AWS answers within it from anywhere, TLS included. */
const contestedMs = 1_000;
/** With the fetch itself, less than the receiver's deadline: waiting here is no sign that we cannot store. */
const longestWaitMs = 4_000;

export type FetchQueue = {
  /**
   * Runs a fetch when it is its turn.
   * @param fetch ends when the signal says that its slot is needed.
   * @throws UnverifiedError `certificate_crowded` when it had no turn, or not for long enough.
   */
  run<Result>(name: string, fetch: (signal: AbortSignal) => Promise<Result>): Promise<Result>;
  /** Moves a waiting name to the head, because another message gives it. */
  prefer(name: string): void;
};

type WaitingFetch = { start(): void; giveWay(): void; timer: NodeJS.Timeout };

/**
 * Fetches names that anybody can invent. The newest goes first, so that a genuine name passes all invented ones that
 * came before it, and each further message that gives the genuine name moves it to the head again. While fewer new
 * names come than are fetched (16 at a time, more than 100 a second where AWS answers in 0.1 s) it is fetched at once,
 * however many are waiting. Beyond that, each message that gives it has a chance, the ratio of names fetched to names
 * that come, and one is enough. A fetch that hangs keeps its slot for a second while others wait.
 */
export function createFetchQueue(): FetchQueue {
  /** In the order in which they were last asked for. */
  const waiting = new Map<string, WaitingFetch>();
  let running = 0;

  function startNext(): void {
    const [name, newest] = [...waiting].at(-1) ?? [];
    if (name === undefined || newest === undefined) return;
    waiting.delete(name);
    clearTimeout(newest.timer);
    running++;
    newest.start();
  }

  function turnOf(name: string): Promise<void> {
    if (running < maxFetches) {
      running++;
      return Promise.resolve();
    }
    return new Promise((start, reject) => {
      const giveWay = () => {
        clearTimeout(timer);
        waiting.delete(name);
        reject(crowded());
      };
      const timer = setTimeout(giveWay, longestWaitMs);
      waiting.set(name, { start, giveWay, timer });
      const [oldest] = waiting.values();
      if (waiting.size > maxWaiting) oldest?.giveWay();
    });
  }

  return {
    async run(name, fetch) {
      await turnOf(name);
      const contested = new AbortController();
      const timer = setInterval(() => waiting.size > 0 && contested.abort(), contestedMs);
      try {
        return await fetch(contested.signal);
      } catch (error) {
        throw contested.signal.aborted ? crowded(error) : error;
      } finally {
        clearInterval(timer);
        running--;
        startNext();
      }
    },
    prefer(name) {
      const found = waiting.get(name);
      if (found === undefined) return;
      waiting.delete(name);
      waiting.set(name, found);
    },
  };
}

function crowded(cause?: unknown): UnverifiedError {
  const message = "Too many unknown SNS certificates are asked for";
  return new UnverifiedError("certificate_crowded", message, { cause });
}
