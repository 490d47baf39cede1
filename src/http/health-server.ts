import type { Express } from "express";
import type { Context } from "../context.ts";
import { errorHandler, notFound } from "./errors.ts";
import { observedApp } from "./observed-app.ts";
import { registerMetrics } from "./routes/metrics.ts";
import { type HttpServer, serve } from "./server.ts";

/** Listens for operators: health and metrics, and nothing else. */
export function startHealthServer(context: Context, port: number): Promise<HttpServer> {
  return serve(context, port, createHealthApp(context));
}

/** For a process without the API, or a port that only Prometheus reaches. */
export function createHealthApp(api: Pick<Context, "db" | "log" | "metrics">): Express {
  const app = observedApp(api);
  registerMetrics(app, api, false);
  app.use(notFound);
  app.use(errorHandler(api.log));
  return app;
}
