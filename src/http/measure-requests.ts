import type { RequestHandler } from "express";
import type { Metrics } from "../metrics.ts";

/** Measures every request, under the route as it is registered; those that no route takes are `none`. */
export function measureRequests(metrics: Pick<Metrics, "observeRequest">): RequestHandler {
  return (request, response, next) => {
    const startedMs = performance.now();
    response.once("close", () => {
      // Express sets it when a route takes the request.
      const path: unknown = request.route?.path;
      const route = typeof path === "string" ? path : "none";
      const status = response.writableFinished ? String(response.statusCode) : "aborted";
      metrics.observeRequest(request.method, route, status, (performance.now() - startedMs) / 1000);
    });
    next();
  };
}
