import type { Express, Request } from "express";
import type { ApiContext } from "../api-context.ts";
import { ApiError } from "../errors.ts";
import { storedMetrics } from "../stored-metrics.ts";

/**
 * `/metrics` for Prometheus: what this process counted, and what the database says about all. They name accounts and
 * topics and need no key.
 * @param isPublic whether others than Prometheus reach the port; only this machine is answered then.
 */
export function registerMetrics(
  app: Express,
  { db, log, metrics: { registry } }: Pick<ApiContext, "db" | "log" | "metrics">,
  isPublic: boolean,
): void {
  app.get("/metrics", async (request, response) => {
    if (isPublic && !isFromThisMachine(request)) {
      throw new ApiError(
        403,
        "Metrics are given to this machine alone here; METRICS_PORT serves them to others",
      );
    }
    const [counted, stored] = await Promise.all([registry.metrics(), storedMetrics(db, log)]);
    response.type(registry.contentType).send(`${counted}\n${stored}`);
  });
}

const forwardingHeaders = [
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
];

/** A proxy on this machine asks for somebody else: it adds a header, or speaks HTTP/1.0 as nginx does by default. */
function isFromThisMachine({ socket, headers, httpVersion }: Request): boolean {
  const peer = socket.remoteAddress?.replace(/^::ffff:/, "") ?? "";
  if (peer !== "::1" && !peer.startsWith("127.")) return false;
  return httpVersion !== "1.0" && forwardingHeaders.every((name) => headers[name] === undefined);
}
