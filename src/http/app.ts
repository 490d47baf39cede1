import express, { type Express, type RequestHandler } from "express";
import { type Metrics, measureRequest } from "../metrics.ts";
import { findApiKeys } from "../storage/api-keys.ts";
import { createAuthenticate } from "./auth.ts";
import { emailitRoutes } from "./dialects/emailit/events.ts";
import { smartcqRoutes } from "./dialects/smartcq/sends.ts";
import { vibetraceRoutes } from "./dialects/vibetrace/events.ts";
import { registerDocumentation, registerWelcome } from "./documentation.ts";
import { errorHandler, notFound } from "./errors.ts";
import { createRateLimit } from "./rate-limit.ts";
import { type AnyRoute, type ApiContext, type Gate, namesKnownTo } from "./route.ts";
import { activityRoutes } from "./routes/activity.ts";
import { deliveryRoutes } from "./routes/deliveries.ts";
import { domainStatsRoutes } from "./routes/domain-stats.ts";
import { eventRoutes } from "./routes/events.ts";
import { registerHealth } from "./routes/health.ts";
import { registerMetrics } from "./routes/metrics.ts";
import { recipientRoutes } from "./routes/recipients.ts";
import { redeliveryRoutes } from "./routes/redeliveries.ts";
import { suppressionRoutes } from "./routes/suppressions.ts";
import { webhookRoutes } from "./routes/webhooks.ts";

/**
 * The API, and metrics unless these have a port of their own. Before it, `server.ts` answers `POST /ingest/sns` and sets
 * X-Request-Id.
 */
export function createApp(api: ApiContext): Express {
  const app = observedApp(api);
  if (api.config.metricsPort === null) registerMetrics(app, api, true);
  const routes = routesOf(api);
  registerWelcome(app);
  registerDocumentation(app, routes);
  const gate: Gate = {
    authenticate: createAuthenticate((sha256s) => findApiKeys(api.db, sha256s), api.clock.now),
    admit: createRateLimit({
      count: api.queues.countRequests,
      limit: api.config.rateLimitPerMinute,
      clock: api.clock,
      log: api.log,
    }),
    known: routes.map(({ description }) => namesKnownTo(description)),
  };
  for (const route of routes) route.register(app, gate);
  app.use(notFound);
  app.use(errorHandler(api.log));
  return app;
}

/** Health and metrics alone: for a process without the API, or a port that only Prometheus reaches. */
export function createHealthApp(api: HealthContext): Express {
  const app = observedApp(api);
  registerMetrics(app, api, false);
  app.use(notFound);
  app.use(errorHandler(api.log));
  return app;
}

type HealthContext = Pick<ApiContext, "db" | "log" | "metrics">;

function observedApp(api: HealthContext): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use(measureRequests(api.metrics));
  registerHealth(app, api.db);
  return app;
}

function routesOf(api: ApiContext): AnyRoute[] {
  return [
    ...eventRoutes(api),
    ...activityRoutes(api),
    ...domainStatsRoutes(api),
    ...recipientRoutes(api),
    ...suppressionRoutes(api),
    ...webhookRoutes(api),
    ...deliveryRoutes(api),
    ...redeliveryRoutes(api),
    ...smartcqRoutes(api),
    ...emailitRoutes(api),
    ...vibetraceRoutes(api),
  ];
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
