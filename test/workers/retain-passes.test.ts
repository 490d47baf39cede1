import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { retain } from "../../workers/retain.ts";
import { takePass } from "../../workers/retention.sql.ts";
import { startTestService } from "../support/service.ts";
import { until } from "../support/wait.ts";
import { daysAgo, never, test } from "./retention.ts";

describe("passes", () => {
  test("are made by one process at a time, and again when they are due", async ({ database }) => {
    const taken = await Promise.all([1, 2, 3, 4].map(() => takePass(database.db, "journal", 3600)));
    expect(taken.filter(Boolean)).toHaveLength(1);
    expect(await takePass(database.db, "journal", 3600)).toBe(false);

    await database.db.query("update retention_passes set due_at = now()");
    expect(await takePass(database.db, "journal", 3600)).toBe(true);
  });

  test("that are broken off by stopping are due again at once", async ({ service, retention }) => {
    const { context } = service;
    await retention.receive(daysAgo(0));
    const stopping = new AbortController();
    const isStopped = { ...context.config };
    Object.defineProperty(isStopped, "journalDays", {
      get: () => {
        stopping.abort();
        return 14;
      },
    });

    await retention.after(15, { config: isStopped, stopping: stopping.signal });
    expect(await retention.daysOfJournal()).toContain(daysAgo(0));

    const now = () => new Date(Date.now() + 15 * 86_400_000);
    await retain({ ...context, clock: { ...systemClock, now } }, never);
    expect(await retention.daysOfJournal()).not.toContain(daysAgo(0));
  });

  test("are made by the workers of a process", async ({ project, database }) => {
    await database.db.query(
      `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, finished_at)
       values ($1, '01900000-0000-8000-8000-000000000000', $2, $2, 'email.open', '{}', 'succeeded', now() - interval '31 days')`,
      [project.id, randomUUID()],
    );

    const workers = await startTestService({
      databaseUrl: database.url,
      roles: { receiver: false, workers: true },
    });

    await until(
      "the delivery is gone",
      async () => (await project.select("select 1 from deliveries")).length === 0,
    );
    await workers.close();
  });
});
