import fc from "fast-check";
import { expect } from "vitest";
import { owedDeliveryId } from "../../../src/domain/webhooks/owed.ts";
import { owedDeliveryIdSql } from "../../../src/storage/webhooks/redelivery-steps.ts";
import { projectTest } from "../../support/project-test.ts";

projectTest()("the id of a delivery is the same in SQL and in TypeScript", async ({ database }) => {
  const uuid = fc.uuid().chain((id) => fc.constantFrom(id, `000${id.slice(3)}`, `ffffffff${id.slice(8)}`));
  const keys = fc.sample(fc.tuple(uuid, uuid), 1_000);

  const rows = await database.db.query<{ id: string }>(
    `select ${owedDeliveryIdSql("endpoint_id", "event_id")} as id
     from unnest($1::uuid[], $2::uuid[]) with ordinality as keys (endpoint_id, event_id, place) order by place`,
    [keys.map(([endpointId]) => endpointId), keys.map(([, eventId]) => eventId)],
  );

  expect(rows.map(({ id }) => id)).toEqual(keys.map(([one, other]) => owedDeliveryId(one, other)));
});
