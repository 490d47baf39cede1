import type { Express } from "express";
import { within } from "../../clock.ts";
import type { Database } from "../../storage/database.ts";
import { assertWritable } from "../../storage/database.ts";
import { isReadOnly } from "../../storage/database-errors.ts";

const answerWithinMs = 4_000;

/** `/healthz`: the process runs. `/readyz`: its database can be written to. Neither needs a key. */
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

/** Requests that arrive during a check share its result: anybody may send them, and each would take a connection. */
function shared<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let underWay: Promise<Result> | null = null;
  return () => {
    underWay ??= work().finally(() => {
      underWay = null;
    });
    return underWay;
  };
}
