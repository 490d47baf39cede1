import { firstIdAt } from "../../domain/computed-id.ts";
import type { Database } from "../../storage/database.ts";
import { fail, type Observation, ok, warn } from "./check.ts";
import { batchBacklog, quarantinedSince } from "./health.sql.ts";
import { counted, ended, excerpt } from "./wording.ts";

const dayMs = 86_400_000;

/** What was stored and could not be understood. */
export async function lookAtQuarantine(db: Database, now: Date): Promise<Observation[]> {
  const reasons = await quarantinedSince(db, firstIdAt(now.getTime() - 7 * dayMs));
  if (reasons.length === 0) {
    return [
      ok(
        "No notification of the last 7 days is in quarantine; what was refused before it was stored is counted in /metrics alone.",
      ),
    ];
  }
  return reasons.map(({ reason, count }) =>
    warn(
      `${counted(count, "notification")} of the last 7 days ${count === 1 ? "is" : "are"} in quarantine: ${ended(excerpt(reason))}`,
      "They stay in the journal: see whether something else than SES publishes to the topic, or upgrade fanmail, then run npx fanmail rebuild.",
    ),
  );
}

/** What workers tried in vain. */
export async function lookAtFailedBatches(db: Database, now: Date): Promise<Observation[]> {
  const backlog = await batchBacklog(db, firstIdAt(now.getTime() - dayMs));
  if (backlog === null || backlog.failing === 0) return [];
  const { failing, attempts, last_error } = backlog;
  const what = `${counted(failing, "batch")} cannot be applied, after up to ${counted(attempts, "attempt")}: ${ended(excerpt(last_error ?? "no reason was kept"))}`;
  const remedy =
    "Mend the cause that it names; workers try again by themselves, at least every five minutes.";
  return [attempts >= 5 ? fail(what, remedy) : warn(what, remedy)];
}
