import { randomBytes, randomUUID } from "node:crypto";
import { test as base } from "vitest";
import { apiKey, apiKeyHash, apiKeyPrefix } from "../../src/domain/api-key.ts";
import { insertApiKey } from "../../src/storage/api-keys.ts";
import type { Database } from "../../src/storage/database.ts";
import { type AcceptedNotification, storeBatch } from "../../src/storage/journal.ts";
import { defaultProjectId, insertProject } from "../../src/storage/projects.ts";
import { addEndpoint, type EndpointInput } from "../../src/webhooks/endpoints.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { testDatabase } from "./database.ts";
import { notification } from "./notification.ts";
import { startTestService, type TestRequest, type TestService, type TestServiceOptions } from "./service.ts";
import { asMessage } from "./ses.ts";
import { type Answer, type Received, type TestSink, webhookSink } from "./webhook-sink.ts";

/** A project of one test. */
export type TestProject = {
  id: string;
  /** An API key that may do everything. */
  key: string;
  /** Asks the API with the project's key. */
  request(method: string, path: string, options?: TestRequest): Promise<Response>;
  get(path: string, key?: string | null): Promise<Response>;
  /** Makes another API key of the project, with these scopes alone. */
  keyWith(...scopes: string[]): Promise<string>;
  /** Stores SES events, or texts, as one batch. @returns its id. */
  store(payloads: unknown[], fields?: Partial<AcceptedNotification>): Promise<string>;
  /** Stores SES events as one batch and applies it. */
  apply(...payloads: object[]): Promise<void>;
  addEndpoint(url: string, input?: EndpointInput): Promise<{ id: string; secret: string }>;
  /** Reads rows of the project: its tables hold no others here. */
  select<Row extends object = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>;
};

/** A webhook receiver of one test, which answers 204 unless the test sets something else. */
export type ProjectSink = TestSink & {
  answer: (request: Received, number: number) => Answer | Promise<Answer>;
};

/** A `test` that shares a service and its database with the others of its file, and has a project of its own. */
export function projectTest(options: Omit<TestServiceOptions, "databaseUrl"> = {}) {
  return (
    base
      // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern what a fixture depends on.
      .extend("database", { scope: "file" }, async ({}, { onCleanup }) => {
        const database = await testDatabase();
        onCleanup(() => database.drop());
        return database;
      })
      .extend("service", { scope: "file" }, async ({ database }, { onCleanup }) => {
        const service = await startTestService({ databaseUrl: database.url, ...options });
        onCleanup(() => service.close());
        return service;
      })
      .extend("project", ({ service }) => newProject(service))
      .extend("otherProject", ({ service }) => newProject(service))
      // biome-ignore lint/correctness/noEmptyPattern: as above.
      .extend("sink", async ({}, { onCleanup }) => {
        const sink = await projectSink();
        onCleanup(() => sink.close());
        return sink;
      })
  );
}

/** For a fixture of `{ scope: "file" }` that tests only read. */
export async function newProject({ context, request }: TestService): Promise<TestProject> {
  const { db, clock, partitions } = context;
  const id = clock.newId();
  await insertProject(db, id, `Test ${id}`);
  const key = await newKey(db, { projectId: id });
  const topic = randomUUID();
  async function store(payloads: unknown[], fields?: Partial<AcceptedNotification>): Promise<string> {
    const batchId = clock.newId();
    const rows = payloads.map((payload) => {
      const body = JSON.stringify({ Message: typeof payload === "string" ? payload : asMessage(payload) });
      return notification({ project_id: id, topic_id: topic, body, ...fields });
    });
    await storeBatch(db, partitions, batchId, rows);
    return batchId;
  }
  return {
    id,
    key,
    request: (method, path, options) => request(method, path, { key, ...options }),
    get: (path, given = key) => request("GET", path, { key: given }),
    keyWith: (...scopes) => newKey(db, { projectId: id, scopes }),
    store,
    apply: async (...payloads) => {
      await applyBatch(context, { batchId: await store(payloads) });
    },
    addEndpoint: (url, input) => addEndpoint(context, id, url, input),
    select: (sql, values) => db.query(`${tablesOf(id)} ${sql}`, values),
  };
}

/** Makes a key of a project: of the default one unless another is given. */
export async function newKey(
  db: Database,
  { scopes = ["*"], projectId = defaultProjectId } = {},
): Promise<string> {
  const key = apiKey(randomBytes(32));
  await insertApiKey(db, {
    project_id: projectId,
    id: randomUUID(),
    name: "test",
    prefix: apiKeyPrefix(key),
    scopes,
    sha256: apiKeyHash(key),
  });
  return key;
}

const tables = [
  ...["activity", "attempts", "deliveries", "events", "idempotency_keys", "notifications", "orders"],
  ...["recipients", "replays", "suppressions", "tenant_suppressions"],
  ...["webhook_endpoints", "webhook_lanes", "webhook_secrets"],
];

/** Stands before a query, whose tables then hold what belongs to the project. */
function tablesOf(projectId: string): string {
  const own = tables.map((table) => `${table} as (select * from ${table} where project_id = '${projectId}')`);
  const batches = "batches as (select * from batches where id in (select batch_id from notifications))";
  return `with ${[...own, batches].join(", ")}`;
}

async function projectSink(): Promise<ProjectSink> {
  const sink = await webhookSink((request, number) => own.answer(request, number));
  const own: ProjectSink = { ...sink, answer: () => ({ status: 204 }) };
  return own;
}
