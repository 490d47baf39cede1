import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { storeBatch } from "../../../src/storage/journal.ts";
import { defaultProjectId, setProjectRules } from "../../../src/storage/projects.ts";
import type { DifferingActivity } from "../../../src/tools/rebuild/compare-activities.ts";
import { openRebuild, type RebuildOptions, runRebuild } from "../../../src/tools/rebuild/rebuild.ts";
import type { Rebuild } from "../../../src/tools/rebuild/rebuilds.sql.ts";
import { applyBatch } from "../../../workers/apply-batch.ts";
import { type TestDatabase, testDatabase } from "../../support/database.ts";
import { notification } from "../../support/notification.ts";
import { startTestService, type TestService } from "../../support/service.ts";
import { asMessage, type SesPayload } from "../../support/ses.ts";

export let database: TestDatabase;

export let service: TestService;

// Everything happens on one day, whenever the test runs, and the journal has that day.
const startMs = Math.floor(Date.now() / 86_400_000) * 86_400_000;

export const time = (seconds: number) => new Date(startMs + seconds * 1000);

const person = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/97.0 Safari/537.36";

const keys: Record<string, string> = {
  Send: "send",
  Delivery: "delivery",
  Open: "open",
  Click: "click",
};

export function event(type: string, seconds: number, messageId: string, detail: object = {}): SesPayload {
  const mail = { timestamp: time(0).toISOString(), messageId, destination: [`${messageId}@example.com`] };
  const seen = type === "Open" || type === "Click" ? { userAgent: person, ipAddress: "192.0.2.1" } : {};
  return {
    eventType: type,
    mail,
    [keys[type] ?? ""]: { timestamp: time(seconds).toISOString(), ...seen, ...detail },
  };
}

export const life = (messageId: string) => [
  event("Click", 400, messageId, { link: "https://example.org/" }),
  event("Open", 300, messageId),
  event("Send", 0, messageId),
  event("Open", 200, messageId),
  event("Open", 1700, messageId),
  event("Delivery", 5, messageId),
];

export async function store(payloads: SesPayload[]): Promise<string> {
  const batchId = randomUUID();
  const journaled = payloads.map((payload) =>
    notification({ body: JSON.stringify({ Message: asMessage(payload) }), sns_timestamp: time(1800) }),
  );
  await storeBatch(database.db, service.context.partitions, batchId, journaled);
  return batchId;
}

export async function apply(payloads: SesPayload[]): Promise<void> {
  await applyBatch(service.context, { batchId: await store(payloads) });
}

export type Run = { ended: Rebuild; changed: DifferingActivity[]; fields: [string, string][] };

export async function rebuild(
  options: Partial<RebuildOptions & { restart: boolean; steps: number }> = {},
): Promise<Run> {
  const stop = new AbortController();
  const full: RebuildOptions = {
    ...{ projectId: null, since: null, isDryRun: false, perSecond: 0, stop: stop.signal },
    ...options,
  };
  const opened = await openRebuild(service.context, full, options.restart ?? false);
  const changed: DifferingActivity[] = [];
  let steps = 0;
  const ended = await runRebuild(service.context, opened, full, {
    onChange: (one) => changed.push(one),
    onStep: () => {
      if (++steps === options.steps) stop.abort();
    },
  });
  const fields = changed.flatMap(({ name, rebuilt }) =>
    rebuilt.differences.map(({ field }): [string, string] => [name.message_id, field.replace(/ of .*/, "")]),
  );
  return { ended, changed, fields };
}

export const dryRun = () => rebuild({ isDryRun: true });

export const tables = async () => ({
  activity: await database.db.query(
    "select to_jsonb(activity) - 'updated_at' as row from activity order by id",
  ),
  events: await database.db.query("select to_jsonb(events) - 'created_at' as row from events order by id"),
});

export const sources = () =>
  database.db.query("select inhrelid from pg_inherits where inhparent = 'rebuild_sources'::regclass");

/** Each file needs the hooks, and a worker loads this module once. */
export function setUp(): void {
  beforeAll(async () => {
    database = await testDatabase();
    service = await startTestService({
      databaseUrl: database.url,
      roles: { receiver: false, workers: false },
    });
  });
  beforeEach(async () => {
    await emptyTables();
    await setProjectRules(database.db, defaultProjectId, { openWindowSeconds: 1200, machineFilter: true });
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
}

/** Deletes the rows of all tables but those of projects, API keys and topics. No worker uses them. */
async function emptyTables(): Promise<void> {
  const tables = await database.db.query<{ name: string }>(
    `select relname as name from pg_class
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
       and relname not in ('projects', 'api_keys', 'topics', 'migrations')`,
  );
  await database.db.query(`truncate ${tables.map(({ name }) => name).join(", ")}`);
}
