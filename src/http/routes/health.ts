import type { Express } from "express";
import type { Database } from "../../storage/database.ts";

/** `/healthz`: the process lives. `/readyz`: it can do its work. Neither needs a key. */
export function registerHealth(app: Express, db: Database): void {
  app.get("/healthz", (_request, response) => {
    response.json({ status: "ok" });
  });
  app.get("/readyz", async (_request, response) => {
    const isReady = await db.query("select 1").then(
      () => true,
      () => false,
    );
    response
      .status(isReady ? 200 : 503)
      .json({ status: isReady ? "ready" : "the database cannot be reached" });
  });
}
