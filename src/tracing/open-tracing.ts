import type { Logger } from "../logger.ts";
import { noTracing, type Tracing } from "./tracing.ts";

/** @param otlpEndpoint where traces go; null: there are none, and OpenTelemetry is not even loaded. */
export async function openTracing(otlpEndpoint: string | null, log: Logger): Promise<Tracing> {
  if (otlpEndpoint === null) return noTracing;
  const { startTracing } = await import("./provider.ts");
  return startTracing(otlpEndpoint, log);
}
