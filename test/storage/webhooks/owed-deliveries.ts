import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { systemClock } from "../../../src/clock.ts";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import { insertDeliveries, type NewDelivery } from "../../../src/storage/webhooks/deliveries.ts";
import { leaseDue } from "../../../src/storage/webhooks/leases.ts";
import { addEndpoint } from "../../../src/webhooks/endpoints.ts";
import { createSecretBox } from "../../../src/webhooks/secret-box.ts";
import { type TestDatabase, testDatabase } from "../../support/database.ts";

/** The columns of a delivery that is not leased. */
export const idle = { lease_id: null, lease_expires_at: null };

/** Two endpoints, for the tests of a file, and what they are owed, for each test. */
export class OwedDeliveries {
  database!: TestDatabase;
  readonly endpoint = { project_id: defaultProjectId, id: "", ordered: false };
  readonly other = { project_id: defaultProjectId, id: "" };

  constructor() {
    beforeAll(async () => {
      this.database = await testDatabase();
      const { db } = this.database;
      const context = { db, clock: systemClock, secretBox: createSecretBox([randomBytes(32)]) };
      for (const one of [this.endpoint, this.other]) {
        one.id = (await addEndpoint(context, defaultProjectId, "https://example.com/")).id;
      }
    });
    afterAll(() => this.database?.drop());
    beforeEach(async () => {
      await this.database.db.query("truncate deliveries, attempts");
      await this.database.db.query("update webhook_endpoints set state = 'enabled'");
    });
  }

  /** Stores a delivery that has been due for so many seconds. */
  owe = async (dueForSeconds: number, fields: Partial<NewDelivery> = {}): Promise<string> => {
    const id = randomUUID();
    const row = { project_id: defaultProjectId, id, endpoint_id: this.endpoint.id, event_id: randomUUID() };
    await insertDeliveries(this.database.db, [
      { ...row, event_type: "email.open", body: "{}", state: "pending", due_at: null, ...fields },
    ]);
    await this.database.db.query(
      "update deliveries set due_at = now() - $2 * interval '1 second' where id = $1",
      [id, dueForSeconds],
    );
    return id;
  };

  lease = (limit = 10, seconds = 60, id: string = randomUUID(), ordered = false) =>
    leaseDue(this.database.db, { ...this.endpoint, ordered }, { id, seconds, limit });

  leasedIds = async (limit?: number): Promise<string[]> => (await this.lease(limit)).map(({ id }) => id);

  rowOf = async (id: string) => {
    const [row] = await this.database.db.query(
      `select state, attempts, lease_id, lease_expires_at, finished_at is not null as finished,
         extract(epoch from due_at - now())::integer as due_in from deliveries where id = $1`,
      [id],
    );
    return row;
  };
}
