import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestRequest, type TestService } from "../support/service.ts";

export type Tracked = { event_id: string; recipient_id: string };

export const anId = expect.stringMatching(/^[0-9a-f-]{36}$/);

/** The service, for the tests of a file; each test finds no events. */
export class EventApi {
  database!: TestDatabase;
  service!: TestService;

  constructor() {
    beforeAll(async () => {
      this.database = await testDatabase();
      this.service = await startTestService({ databaseUrl: this.database.url });
    });
    afterAll(async () => {
      await this.service?.close();
      await this.database?.drop();
    });
    beforeEach(() =>
      this.database.db.query("truncate events, recipients, orders, deliveries, idempotency_keys, activity"),
    );
  }

  post = async (path: string, body: unknown, options: TestRequest = {}): Promise<[number, unknown]> => {
    const answer = await this.service.request("POST", path, { body, ...options });
    return [answer.status, await answer.json()];
  };

  track = (body: unknown, options?: TestRequest) => this.post("/v1/events", body, options);

  tracked = async (body: unknown): Promise<Tracked> => {
    const [status, answer] = await this.track(body);
    expect([status, answer]).toEqual([201, expect.anything()]);
    return answer as Tracked;
  };

  stored = () =>
    this.database.db.query<{ id: string; name: string }>("select id, name from events order by id");
}
