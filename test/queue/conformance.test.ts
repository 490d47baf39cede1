import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Lane } from "../../src/domain/webhooks/owed.ts";
import type { JobQueue, JobWorker, QueueBackend, QueueConnection } from "../../src/queue/backend.ts";
import { applyOptions, deliverOptions } from "../../src/queue/jobs.ts";
import { postgresBackend } from "../../src/queue/postgres.ts";
import { redisBackend } from "../../src/queue/redis.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { atLength } from "../support/length.ts";
import { hasRedis, redisServer } from "../support/redis-server.ts";
import { until } from "../support/wait.ts";

/*
 * What every queue backend must do. A new one is added to `backends`.
 */

/** A backend and its server. */
type Served = {
  backend: QueueBackend;
  /** Makes the server unreachable; `start` brings it back. */
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
};

const backends: { name: string; isHere: boolean; serve: (database: TestDatabase) => Promise<Served> }[] = [
  {
    name: "PostgreSQL",
    isHere: true,
    serve: async ({ block, unblock }) => ({
      backend: postgresBackend,
      stop: block,
      start: unblock,
      close: async () => {},
    }),
  },
  { name: "Redis", isHere: hasRedis, serve: () => serveRedis(false) },
  { name: "Redis Cluster", isHere: hasRedis, serve: () => serveRedis(true) },
];

async function serveRedis(isCluster: boolean): Promise<Served> {
  const { url, kill, start, close } = await redisServer({ isCluster });
  return { backend: redisBackend(isCluster ? [url, url] : [url]), stop: kill, start, close };
}

describe.each(atLength(backends.slice(0, 2), backends))("$name", ({ isHere, serve }) => {
  describe.skipIf(!isHere)("as a queue backend", () => {
    let database: TestDatabase;
    let served: Served;
    let errors: Error[];
    let connections: QueueConnection[];
    let parts: (JobQueue<unknown> | JobWorker)[];

    beforeEach(async () => {
      database = await testDatabase();
      served = await serve(database);
      [errors, connections, parts] = [[], [], []];
    });
    afterEach(async () => {
      for (const part of parts.toReversed()) await part.close();
      for (const connection of connections) connection.disconnect();
      await served.close();
      await database.drop();
    });

    function connect(): QueueConnection {
      const onError = (error: Error) => void errors.push(error);
      const connection = served.backend.connect({ database, onError, traced: {} });
      connections.push(connection);
      return connection;
    }
    function queueOf<Data>(connection: QueueConnection): JobQueue<Data> {
      const queue = connection.queue<Data>("fanmail-deliver");
      parts.push(queue as JobQueue<unknown>);
      return queue;
    }
    function work<Data>(
      connection: QueueConnection,
      concurrency: number,
      run: (data: Data) => Promise<void>,
    ): JobWorker {
      const worker = connection.worker<Data>("fanmail-deliver", concurrency, run);
      parts.push(worker);
      return worker;
    }
    const jobs = <Data>(...all: Data[]) => all.map((data) => ({ name: "job", data, opts: applyOptions }));

    test("migrates as often as it is asked to, and is ready then", async () => {
      await served.backend.migrate(database.url);
      await served.backend.migrate(database.url);

      const connection = connect();
      queueOf(connection);
      await connection.ready();

      expect(errors).toEqual([]);
    });

    test("hands each job that one process adds to a worker of another, with its data", async () => {
      const done: { id: number }[] = [];
      const adding = connect();
      const queue = queueOf<{ id: number }>(adding);
      await adding.ready();
      await queue.addBulk(jobs(...Array.from({ length: 50 }, (_, id) => ({ id }))));

      work<{ id: number }>(connect(), 5, async (job) => void done.push(job));

      await until("all are done", () => done.length >= 50);
      expect(done.map(({ id }) => id).toSorted((one, other) => one - other)).toEqual(
        Array.from({ length: 50 }, (_, id) => id),
      );
      expect(errors).toEqual([]);
    });

    test("runs as many jobs at a time as a worker may, and no more", async () => {
      let running = 0;
      const most: number[] = [];
      const ends: (() => void)[] = [];
      const connection = connect();
      const queue = queueOf<number>(connection);
      await connection.ready();
      work<number>(connection, 3, async () => {
        most.push(++running);
        await new Promise<void>((resolve) => ends.push(resolve));
        running--;
      });

      await queue.addBulk(jobs(1, 2, 3, 4, 5, 6));
      await until("three run", () => ends.length === 3);
      for (let done = 0; done < 6; done++) {
        await until("the next one runs", () => ends.length > done);
        ends[done]?.();
      }

      await until("all have ended", () => most.length === 6 && running === 0);
      expect(Math.max(...most)).toBe(3);
    });

    test("keeps one wake-up that comes for an endpoint during its turn, and has it follow", async () => {
      const lane: Lane = { projectId: "project", endpointId: "one" };
      const turns: (() => void)[] = [];
      const connection = connect();
      const queue = queueOf<Lane>(connection);
      await connection.ready();
      work<Lane>(connection, 5, () => new Promise((resolve) => turns.push(resolve)));
      const wake = () => queue.addBulk([{ name: "deliver", data: lane, opts: deliverOptions(lane) }]);

      await wake();
      await until("its turn has begun", () => turns.length === 1);
      await wake();
      await wake();
      await queue.addBulk(jobs({ ...lane, endpointId: "another" }));
      await until("another lane has its turn", () => turns.length === 2);
      turns[0]?.();
      await until("the turn that follows has begun", () => turns.length === 3);
      turns[1]?.();
      turns[2]?.();

      await wake();
      await until("a later wake-up begins a turn", () => turns.length === 4);
      turns[3]?.();
    });

    test("reports a job that fails, and forgets it", async () => {
      const tried: number[] = [];
      const connection = connect();
      const queue = queueOf<number>(connection);
      await connection.ready();
      work<number>(connection, 1, async (job) => {
        tried.push(job);
        if (job === 1) throw new Error("broken");
      });

      await queue.addBulk(jobs(1, 2));

      await until("the next one is done", () => tried.includes(2));
      expect(tried).toEqual([1, 2]);
      expect(errors.map(({ message }) => message)).toEqual(["broken"]);
    });

    test("closes a worker when the job that runs has finished, and leaves the others to another worker", async () => {
      const begun: number[] = [];
      let end = () => {};
      const connection = connect();
      const queue = queueOf<number>(connection);
      await connection.ready();
      const worker = work<number>(connection, 1, async (job) => {
        begun.push(job);
        await new Promise<void>((resolve) => {
          end = resolve;
        });
      });
      await queue.addBulk(jobs(1, 2));
      await until("the first one runs", () => begun.length === 1);
      let isClosed = false;

      const closing = worker.close().then(() => {
        isClosed = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(isClosed).toBe(false);
      end();
      await closing;

      expect(begun).toEqual([1]);
      const done: number[] = [];
      work<number>(connect(), 1, async (job) => void done.push(job));
      await until("the second one is done", () => done.length === 1);
      expect(done).toEqual([2]);
    });

    test("reports the health of its servers, and how many jobs wait", async () => {
      const connection = connect();
      const queue = queueOf<number>(connection);
      await connection.ready();
      await queue.addBulk(jobs(1, 2, 3));

      const healths = served.backend.servers.map((server) =>
        server.isDatabase ? server.health(database.db) : server.health(4_000),
      );

      expect(healths.length).toBeGreaterThan(0);
      for (const health of await Promise.all(healths)) expect(health).toMatchObject({ waiting: 3 });
    });

    test("refuses jobs soon while its server is away, and goes on when it is back", async () => {
      const done: number[] = [];
      const connection = connect();
      const queue = queueOf<number>(connection);
      await connection.ready();
      work<number>(connection, 1, async (job) => void done.push(job));
      await queue.addBulk(jobs(1));
      await until("the first one is done", () => done.length === 1);

      await served.stop();
      const refusedAtMs = performance.now();
      await expect(queue.addBulk(jobs(2))).rejects.toThrow();
      expect(performance.now() - refusedAtMs).toBeLessThan(5_000);
      await served.start();

      await until("a job is taken again", async () => {
        await queue.addBulk(jobs(3)).catch(() => {});
        return done.includes(3);
      });
    });

    test("counts the requests of a key for all processes together, up to the limit", async () => {
      const processes = [connect(), connect()];
      for (const one of processes) queueOf(one);
      await Promise.all(processes.map((one) => one.ready()));
      const key = randomUUID();
      const count = (place: number, passed: number, waiting: number, name = key) =>
        processes[place]?.countRequests(name, { passed, waiting, limit: 10 });

      expect(await count(0, 3, 4)).toMatchObject({ granted: 4, used: 7 });
      expect(await count(1, 0, 5)).toMatchObject({ granted: 3, used: 10 });
      expect(await count(0, 0, 1)).toMatchObject({ granted: 0, used: 10 });
      // What has passed is counted, whatever the limit.
      expect(await count(1, 2, 1)).toMatchObject({ granted: 0, used: 12 });
      expect(await count(0, 0, 1, randomUUID())).toMatchObject({ granted: 1, used: 1 });
      const counted = await count(0, 0, 0);
      expect(counted?.secondsUntilMore).toBeGreaterThan(50);
      expect(counted?.secondsUntilMore).toBeLessThanOrEqual(60);
    });
  });
});
