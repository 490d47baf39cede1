import type { RequestHandler } from "express";
import { type Metrics, measureRequest } from "../metrics.ts";

/** Measures every request, under the route as it is registered; those that no route takes are `none`. */
export function measureRequests(metrics: Pick<Metrics, "observeRequest">): RequestHandler {
  return (request, response, next) => {
    // Express sets it when a route takes the request.
    const route = () => (typeof request.route?.path === "string" ? request.route.path : "none");
    measureRequest(metrics, request.method, route, response);
    next();
  };
}
