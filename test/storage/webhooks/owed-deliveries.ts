import { randomBytes, randomUUID } from "node:crypto";
import { systemClock } from "../../../src/clock.ts";
import { insertProject } from "../../../src/storage/projects.ts";
import { insertDeliveries, type NewDelivery } from "../../../src/storage/webhooks/deliveries.ts";
import { leaseDue } from "../../../src/storage/webhooks/leases.ts";
import { addEndpoint } from "../../../src/webhooks/endpoints.ts";
import { createSecretBox } from "../../../src/webhooks/secret-box.ts";
import { projectTest } from "../../support/project-test.ts";

/** The columns of a delivery that is not leased. */
export const idle = { lease_id: null, lease_expires_at: null };

/** A test with a project whose two endpoints are owed deliveries. */
export const test = projectTest().extend("owed", async ({ database: { db } }) => {
  const project_id = randomUUID();
  await insertProject(db, project_id, project_id);
  const context = { db, clock: systemClock, secretBox: createSecretBox([randomBytes(32)]) };
  const newEndpoint = async () => {
    const { id } = await addEndpoint(context, project_id, "https://example.com/");
    return { project_id, id, ordered: false };
  };
  const [endpoint, other] = [await newEndpoint(), await newEndpoint()];
  const lease = (limit = 10, seconds = 60, id: string = randomUUID(), ordered = false) =>
    leaseDue(db, { ...endpoint, ordered }, { id, seconds, limit });
  return {
    db,
    endpoint,
    other,
    /** Stores a delivery that has been due for so many seconds. */
    async owe(dueForSeconds: number, fields: Partial<NewDelivery> = {}): Promise<string> {
      const id = randomUUID();
      const row = { project_id, id, endpoint_id: endpoint.id, event_id: randomUUID() };
      await insertDeliveries(db, [
        { ...row, event_type: "email.open", body: "{}", state: "pending", due_at: null, ...fields },
      ]);
      await db.query("update deliveries set due_at = now() - $2 * interval '1 second' where id = $1", [
        id,
        dueForSeconds,
      ]);
      return id;
    },
    lease,
    leasedIds: async (limit?: number): Promise<string[]> => (await lease(limit)).map(({ id }) => id),
    async rowOf(id: string) {
      const [row] = await db.query(
        `select state, attempts, lease_id, lease_expires_at, finished_at is not null as finished,
           extract(epoch from due_at - now())::integer as due_in from deliveries where id = $1`,
        [id],
      );
      return row;
    },
  };
});
