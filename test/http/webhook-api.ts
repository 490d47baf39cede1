import { expect } from "vitest";
import { type ProjectSink, projectTest, type TestProject } from "../support/project-test.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";

export type Endpoint = Record<string, unknown> & { id: string; secret: string };
export type Delivery = Record<string, unknown> & {
  id: string;
  state: string;
  attempt_list: Record<string, unknown>[];
};

/** The health of an endpoint before its first attempt. */
export const health = { breaker: "closed", paused_until: null, failing_since: null, last_success_at: null };

type Answered<Data> = { status: number; body: Record<string, unknown> & { data: Data; error: string } };

/** A test of a project's endpoints; afterwards nothing is posted to them. */
export const test = projectTest().extend("api", async ({ project, sink }, { onCleanup }) => {
  const api = webhookApi(project, sink);
  onCleanup(async () => {
    for (const { id } of await api.listed()) await project.request("DELETE", `/v1/webhooks/${id}`);
  });
  return api;
});

function webhookApi(project: TestProject, sink: ProjectSink) {
  async function request<Data = Endpoint>(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Answered<Data>> {
    const response = await project.request(method, path, body === undefined ? {} : { body });
    // Whatever the contract allows; each test looks at what it expects.
    const answered = (await response.json()) as Answered<Data>["body"];
    return { status: response.status, body: answered };
  }

  const deliveriesOf = async ({ id }: Endpoint, query = "") =>
    (await request<Delivery[]>("GET", `/v1/webhooks/${id}/deliveries${query}`)).body.data;

  const deliveryStates = async (endpoint: Endpoint) =>
    (await deliveriesOf(endpoint)).map(({ state }) => state);

  async function add(fields: Record<string, unknown> = {}): Promise<Endpoint> {
    const { status, body } = await request("POST", "/v1/webhooks", { url: sink.url, ...fields });
    expect([status, body.error]).toEqual([201, undefined]);
    return body.data;
  }

  let sent = 0;
  const send = () => project.apply(sesEvent("Send", { messageId: `message-${++sent}` }));

  const stateIs = (endpoint: Endpoint, ...states: string[]) =>
    until(`deliveries are ${states.join(", ")}`, async () => {
      return JSON.stringify(await deliveryStates(endpoint)) === JSON.stringify(states);
    });

  return {
    request,
    listed: async () => (await request<Endpoint[]>("GET", "/v1/webhooks")).body.data,
    add,
    /** Reports a new email. */
    send,
    /** Adds an endpoint whose first delivery fails, as the receiver answers 500 from now on. */
    async addFailing(): Promise<Endpoint> {
      sink.answer = () => ({ status: 500, body: "out of order" });
      const endpoint = await add();
      await send();
      await stateIs(endpoint, "retrying");
      return endpoint;
    },
    deliveriesOf,
    deliveryStates,
    stateIs,
  };
}
