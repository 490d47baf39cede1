import { Agent, type Dispatcher, request } from "undici";
import type { AttemptResult, FailureClass } from "../domain/delivery-outcome.ts";
import { parseRetryAfter } from "../domain/retry-schedule.ts";
import { webhookSignature } from "../domain/webhook-signature.ts";

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
};

export type PostOptions = {
  dispatcher: Dispatcher;
  now: () => Date;
  userAgent: string;
  /** Breaks the attempt off because we stop; that is not counted as a failure. */
  stopping: AbortSignal;
};

/** The connections to customers' systems. */
export function webhookDispatcher(): Agent {
  return new Agent({
    connections: 64,
    pipelining: 1,
    keepAliveTimeout: 20_000,
    connect: { timeout: attemptTimeoutMs },
  });
}

/** Makes one attempt. Never rejects: what goes wrong is a result. Redirects are not followed. */
export async function postWebhook(post: Post, options: PostOptions): Promise<AttemptResult> {
  const deadline = AbortSignal.timeout(attemptTimeoutMs);
  try {
    const { statusCode, headers, body } = await request(post.url, {
      method: "POST",
      headers: headersOf(post, options),
      body: post.body,
      dispatcher: options.dispatcher,
      signal: AbortSignal.any([deadline, options.stopping]),
    });
    const retryAfter = headers["retry-after"];
    const retryAfterMs = parseRetryAfter(
      Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
      options.now(),
    );
    return { kind: "answered", status: statusCode, retryAfterMs, excerpt: await beginningOf(body) };
  } catch (error) {
    if (options.stopping.aborted) return { kind: "released" };
    return {
      kind: "failed",
      failure: deadline.aborted ? "timeout" : classOf(error),
      message: messageOf(error),
    };
  }
}

function headersOf(
  { eventId, body, attempt, secrets }: Post,
  { now, userAgent }: PostOptions,
): Record<string, string> {
  const timestampSeconds = Math.floor(now().getTime() / 1000);
  return {
    "content-type": "application/json",
    "user-agent": userAgent,
    "webhook-id": eventId,
    "webhook-timestamp": String(timestampSeconds),
    "webhook-signature": webhookSignature(eventId, timestampSeconds, body, secrets),
    "x-fanmail-attempt": String(attempt),
  };
}

async function beginningOf(body: AsyncIterable<Buffer> & { destroy(): unknown }): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= excerptBytes) break;
  }
  body.destroy();
  // Half a character at the cut, or NUL, is nothing that a text column takes.
  return Buffer.concat(chunks).subarray(0, excerptBytes).toString("utf8").replaceAll("\u0000", "\ufffd");
}

const timeoutCodes = [
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "ETIMEDOUT",
];
const dnsCodes = ["ENOTFOUND", "EAI_AGAIN", "EAI_NODATA"];

function classOf(error: unknown): FailureClass {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (timeoutCodes.includes(code)) return "timeout";
  if (dnsCodes.includes(code)) return "dns";
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code)) return "tls";
  return "connection";
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
}
