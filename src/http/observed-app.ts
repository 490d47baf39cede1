import express, { type Express, type RequestHandler } from "express";
import { type Metrics, measureRequest } from "../metrics.ts";
import type { ApiContext } from "./route.ts";
import { registerHealth } from "./routes/health.ts";

/** An app that measures its requests and answers those about health. */
export function observedApp(api: Pick<ApiContext, "db" | "metrics">): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use(measureRequests(api.metrics));
  registerHealth(app, api.db);
  return app;
}

/** Measures every request under its route; requests without a route are `none`. */
function measureRequests(metrics: Pick<Metrics, "observeRequest">): RequestHandler {
  return (request, response, next) => {
    // Express sets it when a route takes the request.
    const route = () => (typeof request.route?.path === "string" ? request.route.path : "none");
    measureRequest(metrics, request.method, route, response);
    next();
  };
}
