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
import {
  type MessageName,
  type MessageTrace,
  messageTrace,
  readTraceparent,
  traceparentOf,
} from "./message-trace.ts";
import type { AppliedNotification, PostOfDelivery, Receipt, TracedPost, Tracing } from "./tracing.ts";

/** What OpenTelemetry keeps of links unless told otherwise. */
const maxLinks = 128;
const rootName = "receive notification";

/** The spans of the way of a notification. */
export function messageTracing(tracer: Tracer, ids: MessageIds, close: () => Promise<void>): Tracing {
  return {
    isOn: true,
    traceparentOf: (message) => sampledTraceparent(tracer, ids, message),
    received: (receipt) => traceReceipt(tracer, ids, receipt),
    commit: (traceparents, work) => traceCommit(tracer, traceparents, work),
    applied: (startedAt, batchIds, notifications) => traceApplied(tracer, startedAt, batchIds, notifications),
    notApplied(startedAt, batchId) {
      const span = startBatchSpan(tracer, startedAt, [batchId], []);
      span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
    startPost: (post) => startPost(tracer, post),
    close,
  };
}

/** The sampler decides by the trace's id, so that it comes to the same here and wherever the first span is made. */
function sampledTraceparent(tracer: Tracer, ids: MessageIds, message: MessageName): string | null {
  const computed = messageTrace(message);
  const probe = ids.use(computed, () => tracer.startSpan(rootName, {}, ROOT_CONTEXT));
  return isSampled(probe.spanContext()) ? traceparentOf(computed) : null;
}

/**
 * The receipt that stored the message is the first span of its trace, and has the computed id. Repeats, and those for which
 * there was no room, are below it.
 */
function traceReceipt(
  tracer: Tracer,
  ids: MessageIds,
  { message, traceparent, source, arrivedAt, outcome }: Receipt,
): void {
  const computed = traceparent && readTraceparent(traceparent);
  if (!computed) return;
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
      ? ids.use(computed, () => tracer.startSpan(rootName, options, ROOT_CONTEXT))
      : tracer.startSpan(rootName, options, below(traceparent));
  if (outcome === "unavailable") span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/** A trace of its own, because it belongs to many messages. */
async function traceCommit<Result>(
  tracer: Tracer,
  traceparents: readonly (string | null)[],
  work: () => Promise<Result>,
): Promise<Result> {
  const links = linksTo(traceparents);
  if (links.length === 0) return work();
  const attributes = { "fanmail.notifications": traceparents.length };
  const span = tracer.startSpan("commit batch", { links, attributes }, ROOT_CONTEXT);
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
  batchIds: readonly string[],
  notifications: readonly AppliedNotification[],
): void {
  const traceparents = notifications.map(({ traceparent }) => traceparent);
  const batch = startBatchSpan(tracer, startTime, batchIds, traceparents);
  const links = isSampled(batch.spanContext()) ? [{ context: batch.spanContext() }] : [];
  for (const { traceparent, outcome, eventType, recipients } of notifications) {
    if (traceparent === null) continue;
    const attributes: Attributes = {
      "fanmail.outcome": outcome,
      "fanmail.recipients": recipients,
      ...(eventType && { "fanmail.event.type": eventType }),
    };
    const options = { kind: SpanKind.CONSUMER, startTime, attributes, links };
    tracer.startSpan("apply notification", options, below(traceparent)).end();
  }
  batch.end();
}

/** Below BullMQ's span of the job. */
function startBatchSpan(
  tracer: Tracer,
  startTime: Date,
  batchIds: readonly string[],
  traceparents: readonly (string | null)[],
): Span {
  const attributes = {
    "fanmail.batch.ids": batchIds.slice(0, maxLinks),
    "fanmail.notifications": traceparents.length,
  };
  return tracer.startSpan("apply batch", { startTime, attributes, links: linksTo(traceparents) });
}

function linksTo(traceparents: readonly (string | null)[]): Link[] {
  return traceparents
    .flatMap((traceparent) => {
      const of = traceparent === null ? undefined : trace.getSpanContext(below(traceparent));
      return of ? [{ context: of }] : [];
    })
    .slice(0, maxLinks);
}

/** An attempt, below the message that it tells of. Its address is left out: that may hold a token. */
function startPost(
  tracer: Tracer,
  { traceparent, endpointId, deliveryId, attempt }: PostOfDelivery,
): TracedPost | null {
  if (traceparent === null) return null;
  const attributes = {
    "fanmail.endpoint.id": endpointId,
    "fanmail.delivery.id": deliveryId,
    "fanmail.attempt": attempt,
  };
  const span = tracer.startSpan("post webhook", { kind: SpanKind.CLIENT, attributes }, below(traceparent));
  if (!isSampled(span.spanContext())) return null;
  return {
    traceparent: traceparentOf(span.spanContext()),
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

/** Gives spans random ids, but the first span of a message those that are computed from its name. */
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

/** The context in which spans are children of a message's first one, which another process may have made. */
function below(traceparent: string): Context {
  const parent = readTraceparent(traceparent);
  if (parent === null) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, { ...parent, traceFlags: TraceFlags.SAMPLED, isRemote: true });
}

function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}
