import express, { type Express } from "express";
import type { Context } from "../context.ts";
import { findApiKey } from "../storage/api-keys.ts";
import { createAuthenticate } from "./auth.ts";
import { errorHandler, notFound } from "./errors.ts";
import { activityRoutes } from "./routes/activity.ts";
import { registerHealth } from "./routes/health.ts";

/** The API. `POST /ingest/sns` is answered before it, see `front.ts`, and so is X-Request-Id set. */
export function createApp({ db, clock, log }: Pick<Context, "db" | "clock" | "log">): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  registerHealth(app, db);
  const authenticate = createAuthenticate((sha256) => findApiKey(db, sha256), clock.now);
  for (const route of activityRoutes(db)) route.register(app, authenticate);
  app.use(notFound);
  app.use(errorHandler(log));
  return app;
}
