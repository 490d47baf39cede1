import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { attachEmbeddedPostgres, startEmbeddedPostgres } from "../../src/embedded/embedded-postgres.ts";
import { type DatabasePool, openDatabase } from "../../src/storage/database.ts";
import { localSigner } from "../../src/tools/captures/local-signer.ts";
import type { Ended } from "../support/command.ts";
import {
  dataDirectory,
  type FanmailProcess,
  fanmail,
  runProcess,
  terminate,
} from "../support/fanmail-process.ts";
import { until } from "../support/wait.ts";

/*
 * The built program in processes of its own, on the bundled week of notifications.
 */

/** Processes start and stop many times here. */
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

const week = fileURLToPath(new URL("../../examples/week.ndjson", import.meta.url));
const topic = "arn:aws:sns:us-east-1:123456789012:example-shop-events";

type Environment = Record<string, string> & { DATA_DIR: string };
type Rows = { activity: unknown[]; events: unknown[]; notifications: unknown[]; unapplied: unknown[] };

let root: { path: string; remove(): Promise<void> };
let undisturbed: Rows;

beforeAll(async () => {
  root = await dataDirectory();
  const environment = await environmentOf("undisturbed");
  const service = fanmail(["start"], environment);
  await replayed(replay(await urlOf(service), environment));
  undisturbed = await rowsOf(environment);
  expect(await terminate(service)).toMatchObject({ code: 0, stderr: "" });
});
afterAll(() => root.remove());

/** The environment of a service on an embedded database of its own, that takes locally signed notifications. */
async function environmentOf(name: string): Promise<Environment> {
  const dataDir = join(root.path, name);
  const signer = await localSigner(dataDir);
  return {
    DATA_DIR: dataDir,
    PORT: "0",
    LOG_LEVEL: "error",
    SNS_TOPIC_ARNS: topic,
    SNS_LOCAL_CERTS: `${signer.certificateUrl(topic)}=${signer.certificatePath}`,
  };
}

async function urlOf(service: FanmailProcess): Promise<string> {
  const [, url = ""] = await service.line(/listens on (\S+)/);
  return url;
}

function replay(url: string, environment: Environment, ...options: string[]): Promise<Ended> {
  return runProcess(
    ["replay", week, "--topic", topic, "--to", `${url}/ingest/sns`, "--json", ...options],
    environment,
  );
}

/** The summary of a replay that left nothing over. */
async function replayed(ended: Promise<Ended>) {
  const { code, stdout, stderr } = await ended;
  expect(code, stdout + stderr).toBe(0);
  return JSON.parse(stdout);
}

async function withDatabase<Result>(
  environment: Environment,
  work: (db: DatabasePool) => Promise<Result>,
): Promise<Result> {
  const url = environment["DATABASE_URL"];
  const server = url === undefined ? await attachEmbeddedPostgres({ dataDir: environment.DATA_DIR }) : null;
  const db = openDatabase(url ?? server?.url ?? "", { maxConnections: 2, onIdleError: () => {} });
  try {
    return await work(db);
  } finally {
    await db.close();
    await server?.stop();
  }
}

/** Waits until so many more notifications are in the journal. */
async function storedMore(environment: Environment, count: number): Promise<void> {
  await withDatabase(environment, async (db) => {
    const stored = async () => (await db.query("select 1 from notifications")).length;
    const before = await stored();
    await until(`${count} more are stored`, async () => (await stored()) >= before + count);
  });
}

/** Everything that is known, without the times at which we came to know it, and without local signatures. */
async function rowsOf(environment: Environment): Promise<Rows> {
  return withDatabase(environment, async (db) => {
    const unapplied = () => db.query("select id from batches where applied_at is null");
    await until("all is applied", async () => (await unapplied()).length === 0);
    return {
      activity: await db.query(
        "select to_jsonb(activity) - 'created_at' - 'updated_at' as row from activity order by id",
      ),
      // `reclassified` tells in which order events arrived, and a crash changes that.
      events: await db.query(
        `select to_jsonb(events) - 'created_at' - 'detail' as row, detail - 'reclassified' as detail
         from events order by id`,
      ),
      notifications: await db.query(
        `select sns_message_id, body::jsonb ->> 'Message' as message, quarantine_reason
         from notifications order by sns_message_id`,
      ),
      unapplied: await unapplied(),
    };
  });
}

test("an undisturbed run knows everything that the capture tells", () => {
  expect([undisturbed.notifications.length, undisturbed.events.length]).toEqual([701, 674]);
});

test("kill -9 in the middle of a replay, start and replay again: the same rows as an undisturbed run", async () => {
  const environment = await environmentOf("killed");
  for (let kill = 0; kill < 3; kill++) {
    const victim = fanmail(["start"], environment);
    const cutOff = replay(await urlOf(victim), environment, "--rate", "400", "--give-up-after", "0.5");
    await storedMore(environment, 40);
    victim.child.kill("SIGKILL");
    expect([(await victim.ended).code, (await cutOff).code]).toEqual([null, 1]);
  }

  const service = fanmail(["start"], environment);
  const { stored, duplicates } = await replayed(replay(await urlOf(service), environment));
  const rows = await rowsOf(environment);

  expect(await terminate(service)).toMatchObject({ code: 0, stderr: "" });
  expect(stored + duplicates).toBe(749);
  expect(duplicates).toBeGreaterThan(48);
  expect(rows).toEqual(undisturbed);
});

test("PostgreSQL stops during a replay: the receiver answers 503, the replay tries again, nothing is missing", async () => {
  const dataDir = join(root.path, "stopped-server");
  const server = await startEmbeddedPostgres({ dataDir });
  const environment = {
    ...(await environmentOf("stopped")),
    DATABASE_URL: server.url,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString("base64"),
    LOG_LEVEL: "silent",
  };
  const service = fanmail(["start"], environment);
  const url = await urlOf(service);
  const disturbed = replay(url, environment, "--rate", "300");
  await storedMore(environment, 50);

  await server.stop();
  const away = await fetch(`${url}/readyz`);
  // The replay goes on meanwhile, and is turned away.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const again = await startEmbeddedPostgres({ dataDir, port: Number(new URL(server.url).port) });

  expect(away.status).toBe(503);
  const { read, failed, stored, duplicates, retries } = await replayed(disturbed);
  expect(retries).toBeGreaterThan(0);
  expect([read, failed, stored + duplicates]).toEqual([749, {}, 749]);
  expect(await rowsOf(environment)).toEqual(undisturbed);
  expect((await terminate(service)).code).toBe(0);
  await again.stop();
});

test("SIGTERM during a replay: what was answered 200 is there, nothing else is, and the exit code is 0", async () => {
  const environment = await environmentOf("terminated");
  const service = fanmail(["start"], environment);
  const cutOff = replay(await urlOf(service), environment, "--give-up-after", "0.2");
  await storedMore(environment, 20);

  expect(await terminate(service)).toMatchObject({ code: 0, stderr: "" });

  const { stored } = JSON.parse((await cutOff).stdout);
  const again = fanmail(["start"], environment);
  await urlOf(again);
  const rows = await rowsOf(environment);
  expect((await terminate(again)).code).toBe(0);
  expect(rows.notifications).toHaveLength(stored);
});

test("two services on one data directory: the second says so and exits 1", async () => {
  const environment = await environmentOf("twice");
  const first = fanmail(["start"], environment);
  await urlOf(first);

  const second = await runProcess(["start"], environment);

  expect(second.code).toBe(1);
  expect(second.stderr).toContain(environment.DATA_DIR);
  expect((await terminate(first)).code).toBe(0);
  expect(await readdir(environment.DATA_DIR)).toContain("encryption.key");
});
