import { type Context, ROOT_CONTEXT } from "@opentelemetry/api";
import { type Span, SpanKind, type Telemetry } from "bullmq";
import { BullMQOtel } from "bullmq-otel";

/**
 * BullMQ's own spans for adding and processing jobs. Those for its inner steps are left out: an idle worker polls for new
 * and stalled jobs all day, and each poll would be a trace.
 */
export function queueTelemetry(): Telemetry<Context> {
  const { tracer, contextManager } = new BullMQOtel({ tracerName: "bullmq" });
  return {
    contextManager: {
      with: (ctx, work) => contextManager.with(ctx, work),
      active: () => contextManager.active(),
      getMetadata: (ctx) => contextManager.getMetadata(ctx),
      fromMetadata: (ctx, metadata) => contextManager.fromMetadata(ctx, metadata),
      root: () => ROOT_CONTEXT,
    },
    tracer: {
      startSpan: (name, options, ctx) =>
        options?.kind === SpanKind.PRODUCER || options?.kind === SpanKind.CONSUMER
          ? tracer.startSpan(name, options, ctx)
          : silent,
    },
  };
}

const nothing = () => {};
const silent: Span<Context> = {
  setSpanOnContext: (ctx) => ctx,
  setAttribute: nothing,
  setAttributes: nothing,
  addEvent: nothing,
  recordException: nothing,
  end: nothing,
};
