import { setMaxListeners } from "node:events";
import { type Dispatcher, request } from "undici";
import {
  type AttemptResult,
  type FailureClass,
  failureOfStatus,
  type MadeAttempt,
} from "../domain/delivery-outcome.ts";
import { parseRetryAfter } from "../domain/retry-schedule.ts";
import { legacySignature, webhookSignature } from "../domain/webhook-signature.ts";
import { BlockedAddressError } from "./address-guard.ts";
import { dnsErrorCodes } from "./resolve-host.ts";

/** The whole exchange, body included: an idle time-out alone is defeated by an answer that trickles. */
export const attemptTimeoutMs = 15_000;
const excerptBytes = 16 * 1024;

export type Post = {
  url: string;
  eventId: string;
  body: string;
  /** 1 for the first. */
  attempt: number;
  /** `whsec_…`, the newest first. */
  secrets: readonly string[];
  /** The customer's own. */
  headers: Readonly<Record<string, string>>;
  /** Sign as Really Quick Emails does, too. */
  legacySignature: boolean;
  /** W3C Trace Context of the attempt, for receivers that trace too; null: it is not traced. */
  traceparent: string | null;
};

export type PostOptions = {
  dispatcher: Dispatcher;
  now: () => Date;
  userAgent: string;
  /** Breaks the attempt off because we stop; that is not counted as a failure. */
  stopping: AbortSignal;
};

/**
 * Makes one attempt. Never rejects: what goes wrong is a result. Redirects are not followed, and an answer's body is kept
 * as it came, so that a compressed one costs no more than its bytes.
 */
export async function postWebhook(post: Post, options: PostOptions): Promise<AttemptResult> {
  const limit = limitOf(options.stopping);
  const answer: Answer = { status: null, retryAfterMs: 0, chunks: [] };
  try {
    const { statusCode, headers, body } = await request(post.url, {
      method: "POST",
      headers: headersOf(post, options),
      body: post.body,
      dispatcher: options.dispatcher,
      signal: limit.signal,
    });
    answer.status = statusCode;
    const retryAfter = headers["retry-after"];
    answer.retryAfterMs = parseRetryAfter(
      Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
      options.now(),
    );
    await readBeginning(body, answer.chunks);
    return madeAttempt(answer, failureOfStatus(statusCode), null);
  } catch (error) {
    if (options.stopping.aborted) return { kind: "released" };
    if (limit.isOverdue()) return madeAttempt(answer, "timeout", `No whole answer in ${attemptTimeoutMs} ms`);
    const failure = classOf(error);
    if (failure === null) return { kind: "our-fault", message: messageOf(error) };
    return madeAttempt(answer, failure, messageOf(error));
  } finally {
    limit.release();
  }
}

/**
 * Aborts when the attempt's time is over or we stop. `AbortSignal.any` would keep something of every attempt for as long as
 * `stopping` lives, which is that of the process.
 */
function limitOf(stopping: AbortSignal) {
  const abort = new AbortController();
  let isOverdue = false;
  const timer = setTimeout(() => {
    isOverdue = true;
    abort.abort();
  }, attemptTimeoutMs);
  const stop = () => abort.abort();
  if (stopping.aborted) stop();
  // There are as many listeners as attempts on their way.
  setMaxListeners(0, stopping);
  stopping.addEventListener("abort", stop);
  return {
    signal: abort.signal,
    isOverdue: () => isOverdue,
    release() {
      clearTimeout(timer);
      stopping.removeEventListener("abort", stop);
    },
  };
}

/** As much of an answer as has come. */
type Answer = { status: number | null; retryAfterMs: number; chunks: Buffer[] };

function madeAttempt(
  { status, retryAfterMs, chunks }: Answer,
  failure: FailureClass | null,
  message: string | null,
): MadeAttempt {
  const excerpt = status === null ? null : textOf(chunks);
  return { kind: "made", failure, status, retryAfterMs, message, excerpt };
}

function headersOf(post: Post, { now, userAgent }: PostOptions): Record<string, string> {
  const { eventId, body, attempt, secrets, traceparent } = post;
  const timestampSeconds = Math.floor(now().getTime() / 1000);
  const [newest] = secrets;
  return {
    // Ids and nothing else. A customer who sends one of their own has it their way.
    ...(traceparent && { traceparent }),
    ...post.headers,
    "content-type": "application/json",
    "user-agent": userAgent,
    "webhook-id": eventId,
    "webhook-timestamp": String(timestampSeconds),
    "webhook-signature": webhookSignature(eventId, timestampSeconds, body, secrets),
    "x-fanmail-attempt": String(attempt),
    ...(post.legacySignature && newest && { "x-rqe-signature": legacySignature(body, newest) }),
  };
}

async function readBeginning(
  body: AsyncIterable<Buffer> & { destroy(): unknown },
  chunks: Buffer[],
): Promise<void> {
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= excerptBytes) break;
  }
  body.destroy();
}

/** Half a character at the cut, or NUL, is nothing that a text column takes. */
function textOf(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).subarray(0, excerptBytes).toString("utf8").replaceAll("\u0000", "\ufffd");
}

const timeoutCodes = [
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "ETIMEDOUT",
];
/** What this machine lacks, what we did wrong, or that we stop. */
const ourCodes =
  /^(EMFILE|ENFILE|ENOBUFS|ENOMEM|EADDRNOTAVAIL|UND_ERR_INVALID_|UND_ERR_NOT_SUPPORTED|UND_ERR_DESTROYED|UND_ERR_CLOSED|ERR_INVALID_)/;

/** @returns null for a fault of ours. */
function classOf(error: unknown): FailureClass | null {
  if (error instanceof BlockedAddressError) return "blocked";
  const code = codeOf(error);
  if (code === null || ourCodes.test(code)) return null;
  if (timeoutCodes.includes(code)) return "timeout";
  if (dnsErrorCodes.includes(code)) return "dns";
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO|HOSTNAME_)/.test(code)) return "tls";
  return "connection";
}

/** An attempt at several addresses fails with the errors of all of them. */
function codeOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  if ("code" in error && typeof error.code === "string") return error.code;
  return error instanceof AggregateError ? codeOf(error.errors[0]) : null;
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || (codeOf(error) ?? "") : String(error);
  return text.slice(0, 1_000);
}
