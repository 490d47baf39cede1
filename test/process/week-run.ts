import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { attachEmbeddedPostgres } from "../../src/embedded/embedded-postgres.ts";
import { type DatabasePool, openDatabase } from "../../src/storage/database.ts";
import { localSigner } from "../../src/tools/captures/local-signer.ts";
import type { Ended } from "../support/command.ts";
import { type FanmailProcess, fanmail, runProcess, terminate } from "../support/fanmail-process.ts";
import { until } from "../support/wait.ts";

/*
 * The built program in processes of its own, on the bundled week of notifications.
 */

const week = fileURLToPath(new URL("../../examples/week.ndjson", import.meta.url));
const topic = "arn:aws:sns:us-east-1:123456789012:example-shop-events";

type Environment = Record<string, string> & { DATA_DIR: string };
export type Rows = { activity: unknown[]; events: unknown[]; notifications: unknown[]; unapplied: unknown[] };

/** What a service knows after the week when nothing disturbs it. */
export async function undisturbedRows(root: string): Promise<Rows> {
  const environment = await environmentOf(root, "undisturbed");
  const service = fanmail(["start"], environment);
  await replayed(replay(await urlOf(service), environment));
  const rows = await rowsOf(environment);
  expect(await terminate(service)).toMatchObject({ code: 0, stderr: "" });
  return rows;
}

/** What a service knows that was killed during its replays, started again, and had the whole week replayed to it. */
export async function killedRows(root: string, kills: number): Promise<Rows> {
  const environment = await environmentOf(root, "killed");
  for (let kill = 0; kill < kills; kill++) {
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
  return rows;
}

/** The environment of a service on an embedded database of its own, that takes locally signed notifications. */
export async function environmentOf(root: string, name: string): Promise<Environment> {
  const dataDir = join(root, name);
  const signer = await localSigner(dataDir);
  return {
    DATA_DIR: dataDir,
    PORT: "0",
    LOG_LEVEL: "error",
    SNS_TOPIC_ARNS: topic,
    SNS_LOCAL_CERTS: `${signer.certificateUrl(topic)}=${signer.certificatePath}`,
  };
}

export async function urlOf(service: FanmailProcess): Promise<string> {
  const [, url = ""] = await service.line(/listens on (\S+)/);
  return url;
}

export function replay(url: string, environment: Environment, ...options: string[]): Promise<Ended> {
  return runProcess(
    ["replay", week, "--topic", topic, "--to", `${url}/ingest/sns`, "--json", ...options],
    environment,
  );
}

/** The summary of a replay that left nothing over. */
export async function replayed(ended: Promise<Ended>) {
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
export async function storedMore(environment: Environment, count: number): Promise<void> {
  await withDatabase(environment, async (db) => {
    const stored = async () => (await db.query("select 1 from notifications")).length;
    const before = await stored();
    await until(`${count} more are stored`, async () => (await stored()) >= before + count);
  });
}

/** Everything that is known, without the times at which we came to know it, and without local signatures. */
export async function rowsOf(environment: Environment): Promise<Rows> {
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
