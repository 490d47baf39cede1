import { describe, expect } from "vitest";
import type { Database } from "../../../src/storage/database.ts";
import { cancelDeliveries, holdDeliveries } from "../../../src/storage/webhooks/deliveries.ts";
import type { EndpointRef } from "../../../src/storage/webhooks/endpoints.ts";
import { endpointsDue } from "../../../src/storage/webhooks/lanes.ts";
import { idle, test } from "./owed-deliveries.ts";

describe("holdDeliveries and cancelDeliveries", () => {
  test("take what is open of their endpoint, so many at a time", async ({ owed }) => {
    const ids = [await owed.owe(10), await owed.owe(20), await owed.owe(30)];
    const others = await owed.owe(10, { endpoint_id: owed.other.id });
    const finished = await owed.owe(10);
    await owed.db.query("update deliveries set state = 'succeeded' where id = $1", [finished]);

    expect(await holdDeliveries(owed.db, owed.endpoint, 2)).toBe(2);
    expect(await holdDeliveries(owed.db, owed.endpoint, 2)).toBe(1);
    expect(await holdDeliveries(owed.db, owed.endpoint, 2)).toBe(0);
    for (const id of ids) expect(await owed.rowOf(id)).toMatchObject({ state: "held" });

    await owed.owe(10);
    await owed.lease();
    expect(await cancelDeliveries(owed.db, owed.endpoint, 10)).toBe(4);
    for (const id of ids)
      expect(await owed.rowOf(id)).toMatchObject({ ...idle, state: "cancelled", finished: true });
    expect(await owed.rowOf(others)).toMatchObject({ state: "pending" });
    expect(await owed.rowOf(finished)).toMatchObject({ state: "succeeded" });
  });
});

describe("endpointsDue", () => {
  const due = async ({ db, endpoint }: { db: Database; endpoint: EndpointRef }) =>
    (await endpointsDue(db))
      .filter(({ projectId }) => projectId === endpoint.project_id)
      .map(({ endpointId }) => endpointId);

  test("names each endpoint with due deliveries once", async ({ owed }) => {
    await owed.owe(10);
    await owed.owe(20);
    expect(await due(owed)).toEqual([owed.endpoint.id]);
    await owed.owe(10, { endpoint_id: owed.other.id });
    expect((await due(owed)).sort()).toEqual([owed.endpoint.id, owed.other.id].sort());
  });

  test("leaves out those whose deliveries are leased, held or not yet due", async ({ owed }) => {
    await owed.owe(10);
    await owed.lease();
    await owed.owe(10, { state: "held" });
    await owed.owe(-60);
    expect(await due(owed)).toEqual([]);
  });

  test("leaves out one whose lane rests", async ({ owed }) => {
    await owed.owe(10);
    const pause = (seconds: number) =>
      owed.db.query(
        "update webhook_lanes set paused_until = now() + $1 * interval '1 second' where endpoint_id = $2",
        [seconds, owed.endpoint.id],
      );
    await pause(60);
    expect(await due(owed)).toEqual([]);
    await pause(-1);
    expect(await due(owed)).toEqual([owed.endpoint.id]);
  });

  test("leaves out a disabled endpoint", async ({ owed }) => {
    await owed.owe(10);
    await owed.db.query("update webhook_endpoints set state = 'disabled' where id = $1", [owed.endpoint.id]);
    expect(await due(owed)).toEqual([]);
  });
});

test("an existing delivery stays as it is when it is owed again", async ({ owed }) => {
  const id = await owed.owe(10);
  await owed.lease();

  await owed.owe(10, { id, body: "another" });

  const rows = await owed.db.query("select state, body from deliveries where id = $1", [id]);
  expect(rows).toEqual([{ state: "leased", body: "{}" }]);
});
