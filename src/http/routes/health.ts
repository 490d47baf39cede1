import type { Express } from "express";
import { within } from "../../clock.ts";
import type { Database } from "../../storage/database.ts";
import { assertWritable } from "../../storage/database.ts";
import { isReadOnly } from "../../storage/database-errors.ts";

/** Whoever asks for readiness does not wait for long. */
const answerWithinMs = 4_000;

/** `/healthz`: the process lives. `/readyz`: it can do its work. Neither needs a key. */
export function registerHealth(app: Express, db: Database): void {
  app.get("/healthz", (_request, response) => {
    response.json({ status: "ok" });
  });
  const findTrouble = shared(() =>
    within(answerWithinMs, assertWritable(db), "no answer").then(() => null, troubleOf),
  );
  app.get("/readyz", async (_request, response) => {
    const trouble = await findTrouble();
    response.status(trouble === null ? 200 : 503).json({ status: trouble ?? "ready" });
  });
}

function troubleOf(error: unknown): string {
  return isReadOnly(error) ? "the database is read-only" : "the database cannot be reached";
}

/** Anybody may ask, so that those who ask meanwhile get the answer that is under way, and take no connection each. */
function shared<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let underWay: Promise<Result> | null = null;
  return () => {
    underWay ??= work().finally(() => {
      underWay = null;
    });
    return underWay;
  };
}
