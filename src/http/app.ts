import express, { type Express, type NextFunction, type Request, type Response } from "express";
import type { Context } from "../context.ts";
import { findApiKey } from "../storage/api-keys.ts";
import { createAuthenticate } from "./auth.ts";
import { errorHandler, notFound } from "./errors.ts";
import { activityRoutes } from "./routes/activity.ts";
import { registerHealth } from "./routes/health.ts";

/** The API. `POST /ingest/sns` is answered before it, see `ingest/receiver.ts`. */
export function createApp({ db, clock, log }: Pick<Context, "db" | "clock" | "log">): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use(requestId(clock.newId));
  registerHealth(app, db);
  const authenticate = createAuthenticate((sha256) => findApiKey(db, sha256), clock.now);
  for (const route of activityRoutes(db)) route.register(app, authenticate);
  app.use(notFound);
  app.use(errorHandler(log));
  return app;
}

/** Echoes the caller's X-Request-Id, or makes one. */
function requestId(newId: () => string) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const given = request.headers["x-request-id"];
    const id = typeof given === "string" && /^[\w.:-]{1,128}$/.test(given) ? given : newId();
    response.locals["requestId"] = id;
    response.setHeader("x-request-id", id);
    next();
  };
}
