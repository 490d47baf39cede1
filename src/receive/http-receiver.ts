import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { z } from "zod";
import { RefusedError, refusalCause, UnavailableError, UnverifiedError } from "../domain/errors.ts";
import { jsonOrNull } from "../domain/json.ts";
import { type RawNotification, rawTokenSource } from "../domain/mail/raw-notification.ts";
import { claimedOrigin } from "../domain/mail/sns-message.ts";
import { boundedLog, errorText, type Logger } from "../logger.ts";
import { type Metrics, measureRequest } from "../metrics.ts";
import type { Intake, IntakeOutcome } from "./intake.ts";
import { type BodyReader, createBodyReader } from "./request-body.ts";

/** The most events in one body; EventBridge pipes post far fewer. */
const maxTogether = 1_000;
const rawPath = "/ingest/sns/raw/";
const howToTurnRawOff =
  "Raw message delivery is on, and raw messages carry no signature. Turn it off: aws sns set-subscription-attributes " +
  "--subscription-arn <ARN> --attribute-name RawMessageDelivery --attribute-value false";

const RawHeaders = z.object({ "x-amz-sns-topic-arn": z.string(), "x-amz-sns-message-id": z.guid() });

export type ReceiverOptions = {
  intake: Intake;
  /** Each of them is accepted; none: raw deliveries are refused. */
  rawTokens: readonly string[];
  metrics: Pick<Metrics, "countRefused" | "observeRequest">;
  log: Logger;
};

export type Receiver = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Whether a request is for the receiver. */
export function isIngest({ method, url = "" }: IncomingMessage): boolean {
  return method === "POST" && (/^\/ingest\/sns\/?(\?|$)/.test(url) || url.startsWith(rawPath));
}

/** Bounds the log lines of each cause: anybody can send messages that are refused. */
const refusalLines = { most: 20, everyMs: 10_000 };

/**
 * `POST /ingest/sns` and, for raw deliveries, `POST /ingest/sns/raw/<token>`. Written on node:http alone, because a
 * framework costs several times what verifying and storing a message does. 200 means durable; SNS repeats after 503, and
 * never after a 4xx.
 */
export function createReceiver(options: ReceiverOptions): Receiver {
  const bounded = boundedLog(refusalLines.most, refusalLines.everyMs);
  const readBody = createBodyReader();
  return async (request, response) => {
    measureRequest(options.metrics, "POST", () => routeOf(request), response);
    let message: Incoming | undefined;
    try {
      message = await readMessage(request, readBody, options);
      answer(response, 200, { status: await accept(message, options.intake) });
    } catch (error) {
      const cause = refusalCause(error);
      const requestId = { request_id: response.getHeader("x-request-id") };
      if (cause === null)
        options.log.error({ ...requestId, cause: errorText(error) }, "notification not stored");
      else {
        bounded(cause, (leftOut) => {
          const fields = { ...requestId, cause, ...originOf(request, message), ...leftOut };
          logRefusal(options.log, error, fields);
        });
      }
      answerError(request, response, error);
    }
  };
}

/** The label in metrics: the path itself may hold the token. */
function routeOf({ url = "" }: IncomingMessage): string {
  return tokenOf(url) === null ? "/ingest/sns" : "/ingest/sns/raw";
}

type Incoming = { body: string } | { raw: readonly RawNotification[] };

function accept(message: Incoming, intake: Intake): Promise<IntakeOutcome> {
  return "raw" in message ? acceptAll(message.raw, intake) : intake.accept(message.body, "http");
}

/** An EventBridge pipe posts several at once. All must be durable; after a failure, those already stored are duplicates. */
async function acceptAll(raw: readonly RawNotification[], intake: Intake): Promise<IntakeOutcome> {
  const accepted = await Promise.all(raw.map((one) => intake.acceptRaw(one, "http")));
  return accepted.includes("stored") ? "stored" : "duplicate";
}

async function readMessage(
  request: IncomingMessage,
  readBody: BodyReader,
  { rawTokens, metrics }: ReceiverOptions,
): Promise<Incoming> {
  try {
    return await readUncounted(request, readBody, rawTokens);
  } catch (error) {
    // The intake counts only what reaches it.
    const cause = refusalCause(error);
    if (cause !== null) metrics.countRefused("http", cause);
    throw error;
  }
}

async function readUncounted(
  request: IncomingMessage,
  readBody: BodyReader,
  rawTokens: readonly string[],
): Promise<Incoming> {
  const isRaw = request.headers["x-amz-sns-rawdelivery"] === "true";
  const token = tokenOf(request.url ?? "");
  if (token !== null || isRaw) assertRawAllowed(token, rawTokens);
  const body = await readBody(request);
  if (isRaw) return { raw: [rawNotification(request, body)] };
  // SNS confirms a subscription by a signed message, even with raw delivery.
  const bare = token === null ? [] : bareMessages(body);
  return bare.length > 0 ? { raw: bare.map(ofToken) } : { body };
}

/** The posts of an EventBridge API destination: JSON that is not an SNS message, or an array. */
function bareMessages(body: string): string[] {
  const json = jsonOrNull(body);
  if (typeof json !== "object" || json === null) return [];
  if (!Array.isArray(json)) return "Type" in json || "Signature" in json ? [] : [body];
  // A longer array is stored as one message, which a worker quarantines with the reason.
  return json.length > maxTogether ? [body] : json.map((one) => JSON.stringify(one));
}

function ofToken(message: string): RawNotification {
  return { sourceArn: rawTokenSource, messageId: null, sentAt: null, message };
}

function tokenOf(url: string): string | null {
  return url.startsWith(rawPath) ? (url.slice(rawPath.length).split("?")[0] ?? "") : null;
}

/** @throws RefusedError 403 unless the path contains a configured token. */
function assertRawAllowed(token: string | null, rawTokens: readonly string[]): void {
  if (token === null || rawTokens.length === 0) {
    const instead = `or set SNS_RAW_TOKEN and subscribe ${rawPath}<token>`;
    throw new RefusedError(403, "raw_delivery", `${howToTurnRawOff}; ${instead}`);
  }
  const given = digest(token);
  // Digests have equal lengths, as the comparison requires, and do not reveal the token's length.
  if (rawTokens.some((one) => timingSafeEqual(given, digest(one)))) return;
  throw new RefusedError(403, "raw_token", `The token behind ${rawPath} is not SNS_RAW_TOKEN`);
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function rawNotification({ headers }: IncomingMessage, message: string): RawNotification {
  const hints = RawHeaders.safeParse(headers);
  if (!hints.success) {
    const name = String(hints.error.issues[0]?.path[0]);
    throw new RefusedError(
      400,
      "not_sns",
      `Not a raw delivery of SNS: the header ${name} is missing or malformed`,
    );
  }
  const { "x-amz-sns-topic-arn": sourceArn, "x-amz-sns-message-id": messageId } = hints.data;
  return { sourceArn, messageId, sentAt: null, message };
}

/** The origin that the message claims, true or not. */
function originOf({ headers }: IncomingMessage, message: Incoming | undefined) {
  const fromHeaders = {
    TopicArn: headers["x-amz-sns-topic-arn"],
    MessageId: headers["x-amz-sns-message-id"],
  };
  const body = message && "body" in message ? jsonOrNull(message.body) : null;
  return { ...claimedOrigin(fromHeaders), ...claimedOrigin(body) };
}

function logRefusal(log: Logger, error: unknown, fields: object): void {
  const isUnverified = error instanceof UnverifiedError;
  // Only when AWS cannot be reached are genuine messages affected too.
  const level = isUnverified && error.causeCode === "certificate_unreachable" ? "warn" : "info";
  log[level]({ ...fields, ...(isUnverified && { reason: errorText(error) }) }, "notification refused");
}

function answerError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const cause = refusalCause(error);
  // The rest of the body is not read.
  const isCutOff = cause === "too_large" || cause === "body_crowded";
  if (isCutOff) response.setHeader("connection", "close");
  answerWith(response, error);
  if (isCutOff) request.resume();
}

function answerWith(response: ServerResponse, error: unknown): void {
  if (error instanceof RefusedError) return void answer(response, error.status, { error: error.message });
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
