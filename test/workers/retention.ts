import { systemClock } from "../../src/clock.ts";
import { journalDays } from "../../src/storage/partitions.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { retain } from "../../workers/retain.ts";
import { projectTest } from "../support/project-test.ts";
import { sesEvent } from "../support/ses.ts";

/*
 * What is kept for a while goes, and what still tells something does not.
 */

export const never = new AbortController().signal;

export const at = (day: string) => new Date(`${day}T12:00:00.000Z`);

export const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);

/** A test that makes passes itself, as there are no workers. They are over the whole database: each test has days of its own. */
export const test = projectTest({ roles: { receiver: false, workers: false } }).extend(
  "retention",
  { auto: true },
  async ({ database: { db }, service: { context }, project }) => {
    const forgetPasses = () => db.query("delete from retention_passes");
    await forgetPasses();
    return {
      /** Stores and applies a notification that was published on a day. @returns its batch. */
      async receive(day: string): Promise<string> {
        const batchId = await project.store([sesEvent("Send")], { sns_timestamp: at(day) });
        await applyBatch(context, { batchId });
        return batchId;
      },
      /** Makes all passes as if so many days had gone by. */
      async after(days: number, { config = context.config, stopping = never } = {}): Promise<void> {
        await forgetPasses();
        const now = () => new Date(Date.now() + days * 86_400_000);
        await retain({ ...context, config, clock: { ...systemClock, now } }, stopping);
      },
      daysOfJournal: async () => (await journalDays(db)).filter((day) => day < daysAgo(-1)),
    };
  },
);
