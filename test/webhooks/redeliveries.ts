import { projectTest } from "../support/project-test.ts";
import type { TestServiceOptions } from "../support/service.ts";
import { until } from "../support/wait.ts";

type Redelivery = {
  id: string;
  state: string;
  total: number;
  queued: number;
  scope: string;
  finished_at: string | null;
};

/** A test with an endpoint, to which it redelivers. */
export const redeliveryTest = (options: Omit<TestServiceOptions, "databaseUrl"> = {}) =>
  projectTest(options).extend("redeliveries", async ({ project, database, sink }) => {
    const { id: endpointId } = await project.addEndpoint(sink.url);
    async function request<Data = Redelivery>(method: string, path: string, body?: unknown) {
      const response = await project.request(method, path, body === undefined ? {} : { body });
      const answered = (await response.json()) as { data: Data; error?: string; held?: number };
      return { status: response.status, ...answered };
    }
    const read = async (id: string) => (await request("GET", `/v1/replays/${id}`)).data;
    return {
      endpointId,
      request,
      read,
      begin: (body: Record<string, unknown>, id = endpointId) =>
        request("POST", `/v1/webhooks/${id}/replays`, { since: "2020-01-01", ...body }),
      finished: (id: string) =>
        until("the redelivery is finished", async () => (await read(id)).state === "finished", 60),
      /** Owes so many deliveries, a second apart, in a state. */
      async owe(count: number, state: string): Promise<void> {
        await database.db.query(
          `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, attempts, schedule_step)
           select $1, (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '8000' || '8' || substr(md5($4 || n), 1, 15))::uuid,
             $2, gen_random_uuid(), 'email.open', '{"n":' || n || ',"was":"' || $4 || '"}', $4, 10, 10
           from generate_series(1, $3::integer) as n`,
          [project.id, endpointId, count, state],
        );
      },
      /** How many deliveries are in each state. */
      async states() {
        const rows = await project.select<{ state: string; count: number }>(
          "select state, count(*)::integer as count from deliveries group by state",
        );
        return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
      },
      received: () => sink.received.map(({ body }) => JSON.parse(body) as { n: number; was: string }),
    };
  });
