import type { Express } from "express";
import { findApiKeys } from "../storage/api-keys.ts";
import { createAuthenticate } from "./auth.ts";
import { emailitRoutes } from "./dialects/emailit/events.ts";
import { smartcqRoutes } from "./dialects/smartcq/sends.ts";
import { vibetraceRoutes } from "./dialects/vibetrace/events.ts";
import { registerDocumentation, registerWelcome } from "./documentation.ts";
import { errorHandler, notFound } from "./errors.ts";
import { observedApp } from "./observed-app.ts";
import { createRateLimit } from "./rate-limit.ts";
import { type AnyRoute, type ApiContext, type Gate, namesKnownTo } from "./route.ts";
import { activityRoutes } from "./routes/activity.ts";
import { deliveryRoutes } from "./routes/deliveries.ts";
import { domainStatsRoutes } from "./routes/domain-stats.ts";
import { eventRoutes } from "./routes/events.ts";
import { registerMetrics } from "./routes/metrics.ts";
import { recipientRoutes } from "./routes/recipients.ts";
import { redeliveryRoutes } from "./routes/redeliveries.ts";
import { suppressionRoutes } from "./routes/suppressions.ts";
import { webhookRoutes } from "./routes/webhooks.ts";

/**
 * The API, and metrics unless these have a port of their own. Before it, `api-server.ts` answers `POST /ingest/sns`.
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
