import { projectTest } from "../support/project-test.ts";
import { until } from "../support/wait.ts";

/** What a project's endpoints are owed, and what was tried. */
export type Lane = {
  deliveries(): Promise<{ state: string; attempts: number }[]>;
  stateIs(...states: string[]): Promise<void>;
  attempts(): Promise<Record<string, unknown>[]>;
  /** Lets a retry be due now instead of in its time. */
  retryNow(): Promise<void>;
};

/** A test with workers, which deliver what its project is owed. */
export const test = projectTest().extend("lane", ({ project, database }): Lane => {
  const deliveries: Lane["deliveries"] = () =>
    project.select("select state, attempts from deliveries order by created_at, id");
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
        "update deliveries set due_at = now() where state = 'retrying' and project_id = $1",
        [project.id],
      );
    },
  };
});
