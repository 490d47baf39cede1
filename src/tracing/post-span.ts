import { SpanKind, SpanStatusCode, type Tracer } from "@opentelemetry/api";
import { traceparentOf } from "./message-trace.ts";
import { below, isSampled } from "./remote-parent.ts";
import type { PostOfDelivery, TracedPost } from "./tracing.ts";

/** An attempt, below the message that it tells of. Its address is left out: that may hold a token. */
export function startPost(
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
