import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type Answer, type TestSink, webhookSink } from "../support/webhook-sink.ts";
import { feed } from "./api.ts";

export type Endpoint = Record<string, unknown> & { id: string; secret: string };
export type Delivery = Record<string, unknown> & {
  id: string;
  state: string;
  attempt_list: Record<string, unknown>[];
};

/** Of an endpoint that nothing was posted to yet. */
export const health = { breaker: "closed", paused_until: null, failing_since: null, last_success_at: null };

type Answered<Data> = { status: number; body: Record<string, unknown> & { data: Data; error: string } };

/** The service, for the tests of a file, and a receiver of webhooks for each test. */
export class WebhookApi {
  database!: TestDatabase;
  service!: TestService;
  sink!: TestSink;
  /** What the receiver answers. */
  answer: () => Answer = () => ({ status: 204 });
  #sent = 0;

  constructor() {
    beforeAll(async () => {
      this.database = await testDatabase();
      this.service = await startTestService({ databaseUrl: this.database.url });
    });
    afterAll(async () => {
      await this.service?.close();
      await this.database?.drop();
    });
    beforeEach(async () => {
      this.answer = () => ({ status: 204 });
      this.sink = await webhookSink(() => this.answer());
    });
    afterEach(async () => {
      for (const { id } of await this.listed()) await this.service.request("DELETE", `/v1/webhooks/${id}`);
      await this.sink.close();
    });
  }

  request = async <Data = Endpoint>(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Answered<Data>> => {
    const response = await this.service.request(method, path, body === undefined ? {} : { body });
    // Whatever the contract allows; each test looks at what it expects.
    const answered = (await response.json()) as Answered<Data>["body"];
    return { status: response.status, body: answered };
  };

  listed = async () => (await this.request<Endpoint[]>("GET", "/v1/webhooks")).body.data;

  add = async (fields: Record<string, unknown> = {}): Promise<Endpoint> => {
    const { status, body } = await this.request("POST", "/v1/webhooks", { url: this.sink.url, ...fields });
    expect([status, body.error]).toEqual([201, undefined]);
    return body.data;
  };

  /** Reports a new email, and waits until its deliveries are stored. */
  send = async (): Promise<void> => {
    await feed(this.service, sesEvent("Send", { messageId: `message-${++this.#sent}` }));
  };

  deliveriesOf = async ({ id }: Endpoint, query = "") =>
    (await this.request<Delivery[]>("GET", `/v1/webhooks/${id}/deliveries${query}`)).body.data;

  deliveryStates = async (endpoint: Endpoint) =>
    (await this.deliveriesOf(endpoint)).map(({ state }) => state);

  stateIs = (endpoint: Endpoint, ...states: string[]) =>
    until(`deliveries are ${states.join(", ")}`, async () => {
      return JSON.stringify(await this.deliveryStates(endpoint)) === JSON.stringify(states);
    });
}
