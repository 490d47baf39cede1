import { expect, test } from "vitest";
import { openRelay } from "../../chaos/stage/relay.ts";
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
  const beganMs = performance.now();
  const worker = connection.worker<number>("lasting", 1, async (job) => {
    done.push(job);
  });
  try {
    await until("it has failed again and again", () => errors.length > 4);
    await database.unblock();
    // It asks for a job once a second. The connection that was open and the search for stalled jobs fail too.
    expect(errors.length).toBeLessThanOrEqual((performance.now() - beganMs) / 1_000 + 3);

    await until("a job is added", () =>
      queue.addBulk([{ name: "job", data: 1, opts: {} }]).then(
        () => true,
        () => false,
      ),
    );
    await until("it is taken up", () => done.length > 0);
    await worker.close();
    expect(await database.db.query("select state from bullmq.job")).toEqual([{ state: "completed" }]);
  } finally {
    await worker.close();
    await queue.close();
    await database.drop();
  }
});

test("a connection that is lost while the schema is checked is an error, and does not end the process", async () => {
  const database = await testDatabase();
  const url = new URL(database.url);
  const relay = await openRelay(Number(url.port));
  url.port = String(relay.port);
  const connection = postgresBackend.connect({
    database: { ...database, url: url.href },
    onError: () => {},
    traced: {},
  });
  try {
    await database.db.transaction(async (tx) => {
      const tables = await tx.query<{ name: string }>(
        "select quote_ident(tablename) as name from pg_tables where schemaname = 'bullmq'",
      );
      await tx.query(`lock table ${tables.map(({ name }) => `bullmq.${name}`).join(", ")}`);
      const queue = connection.queue<number>("lasting");
      const ready = connection.ready();
      await until("the check waits for the lock", async () => {
        const waiting = await database.db.query(
          "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        return waiting.length > 0;
      });
      relay.cut();
      await expect(ready).rejects.toThrow();
      await queue.close();
    });
  } finally {
    await relay.close();
    await database.drop();
  }
});
