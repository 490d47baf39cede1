import type { ClientRequest, IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { isReservedHeader } from "../domain/webhooks/headers.ts";
import {
  type AttemptResult,
  type FailureClass,
  failureOfStatus,
  type MadeAttempt,
} from "../domain/webhooks/outcome.ts";
import { parseRetryAfter } from "../domain/webhooks/retry-schedule.ts";
import { legacySignature, webhookSignature } from "../domain/webhooks/signature.ts";
import { BlockedAddressError } from "./address-guard.ts";
import { limitAttempt } from "./attempt-limits.ts";
import { ConnectError, type WebhookConnections } from "./connections.ts";
import { errorCode } from "./resolve-host.ts";

/** For the whole exchange, body included: an answer that trickles would defeat an idle timeout. */
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
  /** The customer's own headers. */
  headers: Readonly<Record<string, string>>;
  /** Sign as Really Quick Emails does, in addition. */
  legacySignature: boolean;
  /** W3C Trace Context of the attempt, for receivers that trace too. */
  traceparent?: string | undefined;
};

type AttemptOptions = {
  connections: WebhookConnections;
  now: () => Date;
  userAgent: string;
  /** Aborts the attempt because the process stops; that does not count as a failure. */
  stopping: AbortSignal;
};

/**
 * Makes one attempt. Never rejects: failures are results. Redirects are not followed, and an answer's body is kept as it
 * came, so a compressed one costs no more than its bytes.
 */
export async function postWebhook(post: Post, options: AttemptOptions): Promise<AttemptResult> {
  const { stopping } = options;
  if (stopping.aborted) return { kind: "released" };
  const answer: Answer = { status: null, retryAfterMs: 0, chunks: [] };
  const limit = limitAttempt(stopping, attemptTimeoutMs);
  try {
    const request = begin(post, options);
    if ("kind" in request) return request;
    await new Promise<void>((resolve, reject) => {
      // A request that is still connecting does not fail before it is connected.
      limit.end = () => {
        request.destroy();
        reject(new Error("The attempt was ended"));
      };
      exchange(request, answer, options.now, { resolve, reject });
      request.end(post.body);
    });
    return madeAttempt(answer, failureOfStatus(answer.status ?? 0), null);
  } catch (error) {
    if (stopping.aborted) return { kind: "released" };
    if (limit.isOverdue) return madeAttempt(answer, "timeout", `No whole answer in ${attemptTimeoutMs} ms`);
    const failure = classOf(error);
    if (failure === null) return { kind: "our-fault", message: messageOf(error) };
    return madeAttempt(answer, failure, messageOf(error));
  } finally {
    limit.release();
  }
}

/** @returns an internal error when the request cannot be made; whatever fails later is the endpoint's failure. */
function begin(
  post: Post,
  options: AttemptOptions,
): ClientRequest | Extract<AttemptResult, { kind: "our-fault" }> {
  try {
    return options.connections.post(post.url, headersOf(post, options));
  } catch (error) {
    return { kind: "our-fault", message: messageOf(error) };
  }
}

/** How many informational answers may come before the final one. */
const maxInformational = 32;

type Settle = { resolve: () => void; reject: (error: Error) => void };

/** Reads the beginning of the answer. Informational answers are ignored (RFC 9110, section 15.2). */
function exchange(request: ClientRequest, answer: Answer, now: () => Date, settle: Settle): void {
  let informational = 0;
  request.on("information", () => {
    informational += 1;
    if (informational > maxInformational)
      request.destroy(new Error("Nothing but informational answers came"));
  });
  // Without a listener the request fails as if nothing had come.
  request.on("upgrade", (message, socket) => {
    socket.destroy();
    request.emit("response", message);
  });
  request.on("error", settle.reject);
  request.on("response", (message) => {
    answer.status = message.statusCode ?? null;
    answer.retryAfterMs = parseRetryAfter(message.headers["retry-after"], now());
    request.off("error", settle.reject);
    // For errors in the rest of an answer; once it is complete, a broken connection does not matter.
    request.on("error", (error) => {
      if (!message.complete) message.destroy(error);
    });
    readBeginning(message, answer.chunks, settle);
  });
}

/** Listeners cost a third of what iterating over the message does. */
function readBeginning(message: IncomingMessage, chunks: Buffer[], { resolve, reject }: Settle): void {
  let bytes = 0;
  message.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes < excerptBytes) return;
    // Closes the connection.
    message.destroy();
    resolve();
  });
  message.on("end", resolve);
  message.on("error", reject);
  message.on("close", () => {
    if (!message.complete) reject(new Error("The answer broke off"));
  });
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

/** Names and values in turn. A customer's own `traceparent` takes precedence; reserved headers are ours. */
function headersOf(post: Post, { now, userAgent }: AttemptOptions): string[] {
  const { eventId, body, attempt, secrets, traceparent } = post;
  const timestampSeconds = Math.floor(now().getTime() / 1000);
  const [newest] = secrets;
  // One for each name, in a list: Node looks up and copies every header of an object.
  const headers = ["content-type", "application/json"];
  headers.push("content-length", String(Buffer.byteLength(body)));
  headers.push("user-agent", userAgent);
  headers.push("webhook-id", eventId);
  headers.push("webhook-timestamp", String(timestampSeconds));
  headers.push("webhook-signature", webhookSignature(eventId, timestampSeconds, body, secrets));
  headers.push("x-fanmail-attempt", String(attempt));
  if (post.legacySignature && newest) headers.push("x-rqe-signature", legacySignature(body, newest));
  // Ids only.
  if (traceparent && !("traceparent" in post.headers)) headers.push("traceparent", traceparent);
  for (const [name, value] of Object.entries(post.headers)) {
    if (!isReservedHeader(name)) headers.push(name, value);
  }
  return headers;
}

/** A text column takes neither half a character at the cut nor NUL. */
function textOf(chunks: readonly Buffer[]): string {
  if (chunks.length === 0) return "";
  return Buffer.concat(chunks).subarray(0, excerptBytes).toString("utf8").replaceAll("\u0000", "\ufffd");
}

/** This machine lacks resources. Any other error comes from the endpoint or the network. */
const ownFaults = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];

/** @returns null for an internal error. */
function classOf(error: unknown): FailureClass | null {
  if (error instanceof BlockedAddressError) return "blocked";
  if (isOurs(error instanceof ConnectError ? error.cause : error)) return null;
  if (error instanceof ConnectError) return error.failure;
  // TLS 1.3 servers refuse client certificates after the handshake.
  return /^(ERR_SSL|ERR_TLS|EPROTO)/.test(errorCode(error)) ? "tls" : "connection";
}

/** An attempt at several addresses fails with the errors of all of them. */
function isOurs(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isOurs);
  const code = errorCode(error);
  return ownFaults.includes(code) || (code === "EADDRNOTAVAIL" && hasNoPort(error));
}

/** Machines without IPv6 report the same error for any IPv6 address, which they can never reach. */
function hasNoPort(error: unknown): boolean {
  return error instanceof Error && "address" in error && isIP(String(error.address)) === 4;
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || errorCode(error) : String(error);
  return text.slice(0, 1_000);
}
