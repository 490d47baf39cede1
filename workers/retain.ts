import { pause } from "../src/clock.ts";
import type { Context } from "../src/context.ts";
import { dayMs } from "../src/domain/time-text.ts";
import type { Database } from "../src/storage/database.ts";
import { listProjects } from "../src/storage/projects.ts";
import {
  deleteBatches,
  deleteDeliveries,
  deleteDiscards,
  deleteRedeliveries,
  dropJournalDay,
  expiredJournalDays,
  returnPass,
  takePass,
} from "./retention.sql.ts";

type RetainContext = Pick<Context, "db" | "clock" | "config" | "log">;

/** A pass over data that is kept for a limited time. It pauses between steps, and ends early when the process stops. */
type Pass = (context: RetainContext, stopping: AbortSignal) => Promise<void>;

const everySeconds = 3_600;
/** Finished deliveries, their attempts, and redeliveries. */
const deliveryDays = 30;
const rowsInStep = 1_000;
/** Limits the load on the database. */
const pauseMs = 50;
const triesForALock = 10;
const pauseForALockMs = 2_000;

const passes: Readonly<Record<string, Pass>> = {
  async journal({ db, clock, config, log }, stopping) {
    for (const day of await expiredJournalDays(db, ago(clock.now(), config.journalDays))) {
      const outcome = await dropWhenIdle(db, day, stopping);
      log.info({ day, outcome }, "day of the journal has expired");
    }
  },
  batches: ({ db, clock, config }, stopping) =>
    untilFew(stopping, () => deleteBatches(db, ago(clock.now(), config.journalDays), rowsInStep)),
  discards: ({ db, clock, config }, stopping) =>
    // A rebuild would find discarded events in the journal and report them as missing, so they stay as long as the
    // journal.
    untilFew(stopping, () =>
      deleteDiscards(db, ago(clock.now(), Math.max(config.discardDays, config.journalDays + 2)), rowsInStep),
    ),
  async deliveries({ db, clock }, stopping) {
    const before = ago(clock.now(), deliveryDays);
    for (const { id } of await listProjects(db)) await deliveriesOf(db, id, before, stopping);
  },
  replays: ({ db, clock }, stopping) =>
    untilFew(stopping, () => deleteRedeliveries(db, ago(clock.now(), deliveryDays), rowsInStep)),
};

/**
 * Runs the passes that are due; each runs in one process at a time.
 * @returns false: nothing more to do now.
 */
export async function retain(context: RetainContext, stopping: AbortSignal): Promise<boolean> {
  for (const [name, pass] of Object.entries(passes)) {
    if (stopping.aborted) break;
    if (!(await takePass(context.db, name, everySeconds))) continue;
    try {
      await pass(context, stopping);
    } finally {
      if (stopping.aborted) await returnPass(context.db, name);
    }
  }
  return false;
}

function ago(now: Date, days: number): Date {
  return new Date(now.getTime() - days * dayMs);
}

/** Other transactions use the journal constantly, each for moments. */
async function dropWhenIdle(db: Database, day: string, stopping: AbortSignal): Promise<string> {
  for (let tries = 1; !stopping.aborted; tries++) {
    const outcome = await dropJournalDay(db, day);
    if (outcome !== "busy" || tries === triesForALock) return outcome;
    await pause(pauseForALockMs, stopping);
  }
  return "stopped";
}

async function untilFew(stopping: AbortSignal, step: () => Promise<number>): Promise<void> {
  while (!stopping.aborted && (await step()) >= rowsInStep) await pause(pauseMs, stopping);
}

async function deliveriesOf(
  db: Database,
  projectId: string,
  before: Date,
  stopping: AbortSignal,
): Promise<void> {
  let after: string | null = null;
  do {
    after = await deleteDeliveries(db, projectId, { before, after, limit: rowsInStep });
    await pause(pauseMs, stopping);
  } while (after !== null && !stopping.aborted);
}
