import { chmod, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  attachEmbeddedPostgres,
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from "../../src/embedded/embedded-postgres.ts";
import { type DatabasePool, openDatabase } from "../../src/storage/database.ts";
import { fanmail } from "../support/fanmail-process.ts";
import { until } from "../support/wait.ts";

/*
 * The built program in processes of its own, on the bundled week of notifications.
 */

const week = fileURLToPath(new URL("../../examples/week.ndjson", import.meta.url));
const topic = "arn:aws:sns:us-east-1:123456789012:example-shop-events";
/** Processes start and stop many times here. */
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

let root: string;
let undisturbed: Rows;

type Rows = { activity: unknown[]; events: unknown[]; notifications: unknown[]; unapplied: unknown[] };

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "fanmail-crash-"));
  await chmod(root, 0o755);
  const environment = await environmentOf("undisturbed");
  const service = fanmail(["start"], environment);
  await replayInto(service, environment);
  undisturbed = await rowsOf(environment);
  service.child.kill("SIGTERM");
  expect(await service.exited).toBe(0);
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

/** The environment of a service on an embedded database of its own, that takes locally signed notifications. */
async function environmentOf(name: string): Promise<Record<string, string>> {
  const environment = { DATA_DIR: join(root, name), PORT: "0", LOG_LEVEL: "error", SNS_TOPIC_ARNS: topic };
  // A replay that finds nobody makes the key, and says which certificate to trust.
  const probe = fanmail(
    ["replay", week, "--topic", topic, "--to", "http://127.0.0.1:9/", "--give-up-after", "0.001"],
    environment,
  );
  await probe.exited;
  const certificate = join(environment.DATA_DIR, "sns-signing-certificate.pem");
  return { ...environment, SNS_LOCAL_CERTS: `${await certificateUrl(certificate)}=${certificate}` };
}

async function certificateUrl(path: string): Promise<string> {
  const { createHash } = await import("node:crypto");
  const name = createHash("sha256")
    .update(await readFile(path))
    .digest("hex")
    .slice(0, 32);
  return `https://sns.us-east-1.amazonaws.com/SimpleNotificationService-${name}.pem`;
}

function replay(url: string, environment: Record<string, string>, ...options: string[]) {
  return fanmail(
    ["replay", week, "--topic", topic, "--to", `${url}/ingest/sns`, "--json", ...options],
    environment,
  );
}

async function replayInto(service: ReturnType<typeof fanmail>, environment: Record<string, string>) {
  const [, url = ""] = await service.line(/listens on (\S+)/);
  const run = replay(url, environment);
  expect(await run.exited, run.stderr()).toBe(0);
  return JSON.parse(run.stdout());
}

async function withDatabase<Result>(
  environment: Record<string, string>,
  work: (db: DatabasePool) => Promise<Result>,
): Promise<Result> {
  const url = environment["DATABASE_URL"];
  const server = url ? null : await attachEmbeddedPostgres({ dataDir: environment["DATA_DIR"] ?? "" });
  const db = openDatabase(url ?? server?.url ?? "", { maxConnections: 2, onIdleError: () => {} });
  try {
    return await work(db);
  } finally {
    await db.close();
    await server?.stop();
  }
}

/** Everything that is known, without the times at which we came to know it. */
async function rowsOf(environment: Record<string, string>): Promise<Rows> {
  return withDatabase(environment, async (db) => {
    const unapplied = () => db.query("select id from batches where applied_at is null");
    await until("all is applied", async () => (await unapplied()).length === 0);
    return {
      activity: await db.query(
        "select to_jsonb(activity) - 'created_at' - 'updated_at' as row from activity order by id",
      ),
      events: await db.query("select to_jsonb(events) - 'created_at' as row from events order by id"),
      notifications: await db.query(
        "select sns_message_id, body::jsonb ->> 'Message' as message, quarantine_reason from notifications order by sns_message_id",
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
    const [, url = ""] = await victim.line(/listens on (\S+)/);
    const run = replay(url, environment, "--rate", "400", "--give-up-after", "0.5");
    await withDatabase(environment, async (db) => {
      const stored = async () => (await db.query("select 1 from notifications")).length;
      const before = await stored();
      await until("some more are stored", async () => (await stored()) >= before + 40);
    });
    victim.child.kill("SIGKILL");
    expect([await victim.exited, await run.exited]).toEqual([null, 1]);
  }

  const service = fanmail(["start"], environment);
  const summary = await replayInto(service, environment);
  const rows = await rowsOf(environment);
  service.child.kill("SIGTERM");

  expect(await service.exited, service.stderr()).toBe(0);
  expect(summary.duplicates).toBeGreaterThan(48);
  expect(summary.stored + summary.duplicates).toBe(749);
  expect(rows).toEqual(undisturbed);
});

test("PostgreSQL stops during a replay: the receiver answers 503, the replay tries again, nothing is missing", async () => {
  const dataDir = join(root, "stopped-server");
  let server: EmbeddedPostgres = await startEmbeddedPostgres({ dataDir });
  const environment = {
    ...(await environmentOf("stopped")),
    DATABASE_URL: server.url,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString("base64"),
    LOG_LEVEL: "silent",
  };
  const service = fanmail(["start"], environment);
  const [, url = ""] = await service.line(/listens on (\S+)/);
  const run = replay(url, environment, "--rate", "300");
  await withDatabase(environment, async (db) => {
    await until("some are stored", async () => (await db.query("select 1 from notifications")).length > 50);
  });

  await server.stop();
  const away = await fetch(`${url}/readyz`);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  server = await startEmbeddedPostgres({ dataDir, port: Number(new URL(server.url).port) });

  expect(away.status).toBe(503);
  expect(await run.exited, run.stderr()).toBe(0);
  const summary = JSON.parse(run.stdout());
  expect(summary.retries).toBeGreaterThan(0);
  expect([summary.read, summary.failed, summary.stored + summary.duplicates]).toEqual([749, {}, 749]);
  expect(await rowsOf(environment)).toEqual(undisturbed);
  service.child.kill("SIGTERM");
  expect(await service.exited).toBe(0);
  await server.stop();
});

test("SIGTERM during a replay: it stops accepting, finishes what it accepted and exits 0; what was answered 200 is there", async () => {
  const environment = await environmentOf("terminated");
  const service = fanmail(["start"], environment);
  const [, url = ""] = await service.line(/listens on (\S+)/);
  const run = replay(url, environment, "--give-up-after", "0.2");
  await withDatabase(environment, async (db) => {
    await until("some are stored", async () => (await db.query("select 1 from notifications")).length > 20);
  });

  service.child.kill("SIGTERM");

  expect(await service.exited, service.stderr()).toBe(0);
  await run.exited;
  const { stored } = JSON.parse(run.stdout());
  const again = fanmail(["start"], environment);
  await again.line(/listens on/);
  const rows = await rowsOf(environment);
  again.child.kill("SIGTERM");
  expect(await again.exited).toBe(0);
  expect(rows.notifications).toHaveLength(stored);
});

test("two services on one data directory: the second says so and exits 1", async () => {
  const environment = await environmentOf("twice");
  const first = fanmail(["start"], environment);
  await first.line(/listens on/);

  const second = fanmail(["start"], environment);

  expect(await second.exited).toBe(1);
  expect(second.stderr()).toContain(environment["DATA_DIR"]);
  first.child.kill("SIGTERM");
  expect(await first.exited).toBe(0);
  expect(await readdir(environment["DATA_DIR"] ?? "")).toContain("encryption.key");
});
