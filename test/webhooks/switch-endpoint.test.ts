import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { lockLane } from "../../src/storage/webhooks/lanes.ts";
import { enableEndpoint } from "../../src/webhooks/endpoints.ts";
import { createSecretBox } from "../../src/webhooks/secret-box.ts";
import type { TestDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { projectTest } from "../support/project-test.ts";
import { until } from "../support/wait.ts";

const test = projectTest();

const isWaiting = async ({ db }: TestDatabase) => {
  const waiting =
    "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  return (await db.query(waiting)).length > 0;
};

test("an endpoint that is enabled waits for its lane, and holds nothing that the lane's turn needs", async ({
  database,
}) => {
  const { db } = database;
  const secretBox = createSecretBox([randomBytes(32)]);
  const { id } = await addEndpoint({ db, clock: systemClock, secretBox }, "https://example.com/hook");
  const key = { project_id: defaultProjectId, id };
  let enabling: Promise<unknown> = Promise.resolve();

  await db.transaction(async (tx) => {
    await lockLane(tx, { projectId: defaultProjectId, endpointId: id });
    enabling = enableEndpoint(db, key);
    await until("the lane is waited for", () => isWaiting(database));
    await tx.query("select 1 from webhook_endpoints where project_id = $1 and id = $2 for update nowait", [
      defaultProjectId,
      id,
    ]);
  });

  expect(await enabling).toMatchObject({ ...key, state: "enabled" });
});
