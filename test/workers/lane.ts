import { projectTest } from "../support/project-test.ts";
import { until } from "../support/wait.ts";

/** What a project's endpoints are owed, and what was tried. */
export type Lane = {
  deliveries(): Promise<{ state: string; attempts: number }[]>;
  stateIs(...states: string[]): Promise<void>;
  attempts(): Promise<Record<string, unknown>[]>;
  /** Lets a retry be due now instead of in its time. */
  retryNow(): Promise<void>;
  /** Owes an endpoint so many deliveries of events a second apart, in one commit. The body holds the number. */
  owe(endpointId: string, count: number, first?: number): Promise<void>;
  /** How many deliveries are in each state. */
  states(): Promise<Record<string, number>>;
  allSucceed(count: number): Promise<void>;
};

/** A test with workers, which deliver what its project is owed. */
export const test = projectTest().extend("lane", ({ project, database }): Lane => {
  const deliveries: Lane["deliveries"] = () =>
    project.select("select state, attempts from deliveries order by created_at, id");
  const states: Lane["states"] = async () => {
    const rows = await project.select<{ state: string; count: number }>(
      "select state, count(*)::integer as count from deliveries group by state order by state",
    );
    return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
  };
  return {
    deliveries,
    stateIs: (...states) =>
      until(`deliveries are ${states.join(", ")}`, async () => {
        return JSON.stringify((await deliveries()).map(({ state }) => state)) === JSON.stringify(states);
      }),
    attempts: () =>
      project.select(
        "select number, status, failure, message, excerpt from attempts order by started_at, id",
      ),
    async retryNow() {
      await database.db.query(
        `with lanes as (update webhook_lanes set paused_until = null where project_id = $1)
         update deliveries set due_at = least(due_at, now()) where state = 'retrying' and project_id = $1`,
        [project.id],
      );
    },
    async owe(endpointId, count, first = 0) {
      await database.db.query(
        `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, due_at)
         select $1, (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '8000' || '8' || substr(md5($2 || n), 1, 15))::uuid,
           $2::uuid, gen_random_uuid(), 'email.open', '{"n":' || n || '}', 'pending',
           to_timestamp(1700000000 + n) from generate_series($3::bigint, $4::bigint) as n order by random()`,
        [project.id, endpointId, first, first + count - 1],
      );
    },
    states,
    allSucceed: (count) => until(`${count} succeed`, async () => (await states())["succeeded"] === count),
  };
});
