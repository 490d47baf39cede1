import { expect, test } from "vitest";
import { postgresBackend } from "../../src/queue/postgres.ts";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/wait.ts";

test("a worker that begins while the database refuses it works when that is over, and does not spin meanwhile", async () => {
  const database = await testDatabase();
  const errors: Error[] = [];
  const done: number[] = [];
  const onError = (error: Error) => void errors.push(error);
  const connection = postgresBackend.connect({ database, onError, traced: {} });
  const queue = connection.queue<number>("lasting");
  await database.block();
  const worker = connection.worker<number>("lasting", 1, async (job) => {
    done.push(job);
  });
  try {
    await until("it has failed", () => errors.length > 1);
    await database.unblock();
    await until("a job is taken up again", async () => {
      await queue.addBulk([{ name: "job", data: 1, opts: {} }]).catch(() => {});
      return done.length > 0;
    });
    expect(errors.length).toBeLessThan(50);
  } finally {
    await worker.close();
    await queue.close();
    await database.drop();
  }
});
