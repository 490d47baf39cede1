import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { context, type DiagLogger, DiagLogLevel, diag, propagation, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider, type SpanExporter } from "@opentelemetry/sdk-trace-node";
import { within } from "../clock.ts";
import { type Logger, sparseWarning } from "../logger.ts";
import { packageVersion } from "../package-info.ts";
import { MessageIds, messageTracing } from "./message-tracing.ts";
import type { Tracing } from "./tracing.ts";

/** The collector may be away for days, and no work depends on it. */
const warnEveryMs = 60_000;
/** A process that ends waits no longer. */
const flushWithinMs = 2_000;
/** Default for OTEL_EXPORTER_OTLP_TIMEOUT. A pending export delays the end of the process. */
const exportTimeoutMs = 3_000;

/**
 * Starts OpenTelemetry for this process. Sampling, headers, limits and the service's name follow the standard OTEL_*
 * variables, which the SDK itself reads.
 */
export function startTracing(otlpEndpoint: string, log: Logger): Tracing {
  const warn = sparseWarning(log, "traces", warnEveryMs);
  diag.setLogger(warnings(warn), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const agents: HttpAgent[] = [];
  const ids = new MessageIds();
  const provider = new NodeTracerProvider({
    idGenerator: ids,
    resource: serviceResource(),
    spanProcessors: [new BatchSpanProcessor(quietExporter(otlpExporter(otlpEndpoint, agents), warn))],
  });
  // BullMQ's spans find the provider here, and their parents in the context.
  provider.register();
  return messageTracing(provider.getTracer("fanmail", packageVersion), ids, async () => {
    await within(flushWithinMs, provider.shutdown(), "The last spans could not be sent in time").catch(warn);
    for (const agent of agents) agent.destroy();
    for (const api of [trace, context, propagation, diag]) api.disable();
  });
}

function serviceResource() {
  const ours = resourceFromAttributes({ "service.name": "fanmail", "service.version": packageVersion });
  // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come last, so that they win.
  return defaultResource()
    .merge(ours)
    .merge(detectResources({ detectors: [envDetector] }));
}

function otlpExporter(otlpEndpoint: string, agents: HttpAgent[]): OTLPTraceExporter {
  const environment = process.env;
  return new OTLPTraceExporter({
    ...(!environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] && {
      url: `${otlpEndpoint.replace(/\/$/, "")}/v1/traces`,
    }),
    ...(!environment["OTEL_EXPORTER_OTLP_TIMEOUT"] && { timeoutMillis: exportTimeoutMs }),
    // Kept, to abort exports that hang when the process ends.
    httpAgentOptions: (protocol) => {
      const agent =
        protocol === "https:" ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
      agents.push(agent);
      return agent;
    },
  });
}

/** Spans that cannot be sent are lost, with a warning, and without any other effect. */
function quietExporter(exporter: SpanExporter, warn: (cause: string) => void): SpanExporter {
  return {
    export(spans, done) {
      exporter.export(spans, ({ error }) => {
        // The text is the collector's answer, and may be long.
        if (error) warn(`Not exported: ${error.message.slice(0, 200)}`);
        done({ code: 0 });
      });
    },
    shutdown: () => exporter.shutdown(),
  };
}

function warnings(warn: (cause: string) => void): DiagLogger {
  const nothing = () => {};
  return { error: warn, warn, info: nothing, debug: nothing, verbose: nothing };
}
