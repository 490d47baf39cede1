import { createHash } from "node:crypto";
import {
  type Attributes,
  type Context,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { type IdGenerator, RandomIdGenerator } from "@opentelemetry/sdk-trace-node";
import type {
  AppliedNotification,
  MessageName,
  PostOfDelivery,
  Receipt,
  TracedPost,
  Tracing,
} from "./tracing.ts";

/** What OpenTelemetry keeps of links unless told otherwise. */
const maxLinks = 128;
const rootName = "receive notification";

/** The spans of a notification, from its receipt to the webhooks about it. */
export function messageTracing(tracer: Tracer, ids: MessageIds, close: () => Promise<void>): Tracing {
  const sampledTrace = (message: MessageName) => traceIfSampled(tracer, ids, message);
  return {
    isOn: true,
    traceparentOf(message) {
      const sampled = sampledTrace(message);
      return sampled && formatTraceparent(sampled);
    },
    received(receipt) {
      const sampled = sampledTrace(receipt.message);
      if (sampled) traceReceipt(tracer, ids, sampled, receipt);
    },
    commit(messages, work) {
      const sampled = messages.flatMap((message) => sampledTrace(message) ?? []);
      return sampled.length === 0 ? work() : traceCommit(tracer, sampled, messages.length, work);
    },
    applied(startedAt, batchIds, notifications) {
      const sampled = notifications.flatMap((notification) => {
        const messageTrace = notification.message && sampledTrace(notification.message);
        return messageTrace ? [{ notification, messageTrace }] : [];
      });
      const links = linksTo(sampled.map(({ messageTrace }) => messageTrace));
      const batch = startBatchSpan(tracer, startedAt, batchIds, notifications.length, links);
      for (const { notification, messageTrace } of sampled)
        traceApplied(tracer, startedAt, messageTrace, notification, batch);
      batch.end();
    },
    notApplied(startedAt, batchId) {
      const span = startBatchSpan(tracer, startedAt, [batchId], 0, []);
      span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
    startPost: (post) => startPost(tracer, post),
    close,
  };
}

/** The sampler decides by the trace id, so the decision is the same here and wherever the first span is made. */
function traceIfSampled(tracer: Tracer, ids: MessageIds, message: MessageName): MessageTrace | null {
  const computed = traceOfMessage(message);
  const probe = ids.use(computed, () => tracer.startSpan(rootName, {}, ROOT_CONTEXT));
  return isSampled(probe.spanContext()) ? computed : null;
}

/**
 * The receipt that stored the message is the first span of its trace, and has the computed id. Duplicates, and receipts
 * that could not be stored, are below it.
 */
function traceReceipt(
  tracer: Tracer,
  ids: MessageIds,
  messageTrace: MessageTrace,
  { message, source, arrivedAt, outcome }: Receipt,
): void {
  const options = {
    kind: source === "http" ? SpanKind.SERVER : SpanKind.CONSUMER,
    startTime: arrivedAt,
    attributes: {
      "messaging.system": "aws.sns",
      "messaging.message.id": message.messageId,
      "messaging.destination.name": message.topicArn,
      "fanmail.outcome": outcome,
    },
  };
  const span =
    outcome === "stored"
      ? ids.use(messageTrace, () => tracer.startSpan(rootName, options, ROOT_CONTEXT))
      : tracer.startSpan(rootName, options, below(messageTrace));
  if (outcome === "unavailable") span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/** A trace of its own, because it belongs to many messages. */
async function traceCommit<Result>(
  tracer: Tracer,
  sampled: readonly MessageTrace[],
  notifications: number,
  work: () => Promise<Result>,
): Promise<Result> {
  const attributes = { "fanmail.notifications": notifications };
  const span = tracer.startSpan("commit batch", { links: linksTo(sampled), attributes }, ROOT_CONTEXT);
  try {
    return await context.with(trace.setSpan(ROOT_CONTEXT, span), work);
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}

function traceApplied(
  tracer: Tracer,
  startTime: Date,
  messageTrace: MessageTrace,
  { outcome, eventType, recipients }: AppliedNotification,
  batch: Span,
): void {
  const attributes: Attributes = {
    "fanmail.outcome": outcome,
    "fanmail.recipients": recipients,
    ...(eventType && { "fanmail.event.type": eventType }),
  };
  const links = isSampled(batch.spanContext()) ? [{ context: batch.spanContext() }] : [];
  const options = { kind: SpanKind.CONSUMER, startTime, attributes, links };
  tracer.startSpan("apply notification", options, below(messageTrace)).end();
}

/** Below BullMQ's span of the job. */
function startBatchSpan(
  tracer: Tracer,
  startTime: Date,
  batchIds: readonly string[],
  notifications: number,
  links: Link[],
): Span {
  const attributes = {
    "fanmail.batch.ids": batchIds.slice(0, maxLinks),
    "fanmail.notifications": notifications,
  };
  return tracer.startSpan("apply batch", { startTime, attributes, links });
}

function linksTo(sampled: readonly MessageTrace[]): Link[] {
  return sampled.slice(0, maxLinks).map((messageTrace) => ({ context: firstSpan(messageTrace) }));
}

/** An attempt, below the message that the webhook is about. The endpoint's URL is left out: it may hold a token. */
function startPost(
  tracer: Tracer,
  { traceparent, endpointId, deliveryId, attempt }: PostOfDelivery,
): TracedPost | null {
  const messageTrace = traceparent === null ? null : parseTraceparent(traceparent);
  if (messageTrace === null) return null;
  const attributes = {
    "fanmail.endpoint.id": endpointId,
    "fanmail.delivery.id": deliveryId,
    "fanmail.attempt": attempt,
  };
  const span = tracer.startSpan("post webhook", { kind: SpanKind.CLIENT, attributes }, below(messageTrace));
  if (!isSampled(span.spanContext())) return null;
  return {
    traceparent: formatTraceparent(span.spanContext()),
    end(result) {
      const failure = result.kind === "made" ? result.failure : result.kind;
      const status = result.kind === "made" ? result.status : null;
      if (status !== null) span.setAttribute("http.response.status_code", status);
      if (failure !== null) {
        span.setAttribute("error.type", failure);
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
}

/** Gives spans random ids, except a message's first span, which gets the ids computed from the message's name. */
export class MessageIds implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #computed: MessageTrace | null = null;

  /** @param start starts one span, at once: ids are asked for before it returns. */
  use<Result>(ids: MessageTrace, start: () => Result): Result {
    this.#computed = ids;
    try {
      return start();
    } finally {
      this.#computed = null;
    }
  }

  generateTraceId = (): string => this.#computed?.traceId ?? this.#random.generateTraceId();
  generateSpanId = (): string => this.#computed?.spanId ?? this.#random.generateSpanId();
}

/** The ids of a message's trace and of its first span, in lower-case hexadecimal. */
type MessageTrace = { traceId: string; spanId: string };

/**
 * The trace of an SNS message. It is computed, so that a worker knows it without anything being stored, and a duplicate
 * lands in the same one: SHA-256 of `<topic ARN>\n<SNS MessageId>`, of which 16 bytes are the trace id and the next 8 the
 * id of the span that everything else descends from.
 */
export function traceOfMessage({ topicArn, messageId }: MessageName): MessageTrace {
  const digest = createHash("sha256").update(`${topicArn}\n${messageId.toLowerCase()}`).digest("hex");
  return { traceId: digest.slice(0, 32), spanId: digest.slice(32, 48) };
}

/** W3C Trace Context, section 3.2: version 00, and the flag that the trace is recorded. */
export function formatTraceparent({ traceId, spanId }: MessageTrace): string {
  return `00-${traceId}-${spanId}-01`;
}

/** @returns null for anything that `formatTraceparent` does not write. */
export function parseTraceparent(text: string): MessageTrace | null {
  const [, traceId, spanId] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/.exec(text) ?? [];
  return traceId && spanId ? { traceId, spanId } : null;
}

/** The context in which spans are children of a message's first span, which another process may have made. */
function below(messageTrace: MessageTrace): Context {
  return trace.setSpanContext(ROOT_CONTEXT, firstSpan(messageTrace));
}

function firstSpan(messageTrace: MessageTrace): SpanContext {
  return { ...messageTrace, traceFlags: TraceFlags.SAMPLED, isRemote: true };
}

function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}
