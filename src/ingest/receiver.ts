import type { IncomingMessage, ServerResponse } from "node:http";
import { RefusedError, UnavailableError } from "../domain/errors.ts";
import { errorText, type Logger } from "../logger.ts";
import { type AcceptOptions, acceptSnsMessage } from "./accept.ts";
import { readBody } from "./read-body.ts";

/** SNS carries 256 KiB, and escaping can make a multiple of that. */
const maxBodyBytes = 1024 * 1024;

export type Receiver = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/**
 * `POST /ingest/sns`. Written on node:http alone, because a framework costs several times what verifying and
 * storing a message does. 200 means durable; 503 asks SNS to repeat; a 4xx SNS never repeats.
 */
export function createReceiver(options: AcceptOptions & { log: Logger }): Receiver {
  return async (request, response) => {
    try {
      const accepted = await acceptSnsMessage(await readBody(request, maxBodyBytes), options);
      answer(response, 200, { status: accepted });
    } catch (error) {
      refuse(request, response, error, options.log);
    }
  };
}

function refuse(request: IncomingMessage, response: ServerResponse, error: unknown, log: Logger): void {
  const requestId = response.getHeader("x-request-id");
  if (error instanceof RefusedError) {
    log.info({ request_id: requestId, cause: error.causeCode }, "notification refused");
    // What is left of an oversized body is not worth reading.
    if (error.status === 413) response.setHeader("connection", "close");
    answer(response, error.status, { error: error.message });
    if (error.status === 413) request.resume();
    return;
  }
  log.error({ request_id: requestId, cause: errorText(error) }, "notification not stored");
  const unavailable = error instanceof UnavailableError ? error : new UnavailableError("Internal error");
  response.setHeader("retry-after", unavailable.retryAfterSeconds);
  answer(response, 503, { error: unavailable.message });
}

function answer(response: ServerResponse, status: number, body: object): void {
  const json = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(json),
  });
  response.end(json);
}
