import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { until } from "../support/wait.ts";
import { type Answer, type TestSink, webhookSink } from "../support/webhook-sink.ts";

type Redelivery = {
  id: string;
  state: string;
  total: number;
  queued: number;
  scope: string;
  finished_at: string | null;
};

/** A service of a file. Each test begins with empty tables, and has a receiver of webhooks. */
export class RedeliveryApi {
  database!: TestDatabase;
  service!: TestService;
  sink!: TestSink;
  /** What the receiver answers. */
  answer: () => Answer = () => ({ status: 204 });
  #encryptionKey = Buffer.alloc(32, 7).toString("base64");

  constructor() {
    beforeAll(async () => {
      this.database = await testDatabase();
      await this.start();
    });
    beforeEach(async () => {
      this.answer = () => ({ status: 204 });
      this.sink = await webhookSink(() => this.answer());
      await this.database.empty();
    });
    afterEach(() => this.sink.close());
    afterAll(async () => {
      await this.service?.close();
      await this.database?.drop();
    });
  }

  /** Starts the service, or starts it again. */
  start = async (): Promise<void> => {
    const environment = { ENCRYPTION_KEY: this.#encryptionKey };
    this.service = await startTestService({ databaseUrl: this.database.url, environment });
  };

  request = async <Data = Redelivery>(method: string, path: string, body?: unknown) => {
    const response = await this.service.request(method, path, body === undefined ? {} : { body });
    const answered = (await response.json()) as { data: Data; error?: string; held?: number };
    return { status: response.status, ...answered };
  };

  redeliver = (endpointId: string, body: Record<string, unknown>) =>
    this.request("POST", `/v1/webhooks/${endpointId}/replays`, { since: "2020-01-01", ...body });

  read = async (id: string) => (await this.request("GET", `/v1/replays/${id}`)).data;

  finished = (id: string) =>
    until("the redelivery is finished", async () => (await this.read(id)).state === "finished", 60);

  /** Owes an endpoint so many deliveries, a second apart, in a state. */
  owe = async (endpointId: string, count: number, state: string): Promise<void> => {
    await this.database.db.query(
      `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, attempts, schedule_step)
       select $1, (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '8000' || '8' || substr(md5($4 || n), 1, 15))::uuid,
         $2, gen_random_uuid(), 'email.open', '{"n":' || n || ',"was":"' || $4 || '"}', $4, 10, 10
       from generate_series(1, $3::integer) as n`,
      [defaultProjectId, endpointId, count, state],
    );
  };

  /** How many deliveries are in each state. */
  states = async () => {
    const rows = await this.database.db.query<{ state: string; count: number }>(
      "select state, count(*)::integer as count from deliveries group by state",
    );
    return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
  };

  received = () => this.sink.received.map(({ body }) => JSON.parse(body) as { n: number; was: string });
}
