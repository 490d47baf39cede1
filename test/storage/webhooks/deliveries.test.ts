import { describe, expect, test } from "vitest";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import { cancelDeliveries, holdDeliveries } from "../../../src/storage/webhooks/deliveries.ts";
import { endpointsDue } from "../../../src/storage/webhooks/lanes.ts";
import { idle, OwedDeliveries } from "./owed-deliveries.ts";

const owed = new OwedDeliveries();
const { owe, lease, rowOf } = owed;

describe("holdDeliveries and cancelDeliveries", () => {
  test("take what is open of their endpoint, so many at a time", async () => {
    const ids = [await owe(10), await owe(20), await owe(30)];
    const others = await owe(10, { endpoint_id: owed.other.id });
    const finished = await owe(10);
    await owed.database.db.query("update deliveries set state = 'succeeded' where id = $1", [finished]);

    expect(await holdDeliveries(owed.database.db, owed.endpoint, 2)).toBe(2);
    expect(await holdDeliveries(owed.database.db, owed.endpoint, 2)).toBe(1);
    expect(await holdDeliveries(owed.database.db, owed.endpoint, 2)).toBe(0);
    for (const id of ids) expect(await rowOf(id)).toMatchObject({ state: "held" });

    await owe(10);
    await lease();
    expect(await cancelDeliveries(owed.database.db, owed.endpoint, 10)).toBe(4);
    for (const id of ids)
      expect(await rowOf(id)).toMatchObject({ ...idle, state: "cancelled", finished: true });
    expect(await rowOf(others)).toMatchObject({ state: "pending" });
    expect(await rowOf(finished)).toMatchObject({ state: "succeeded" });
  });
});

describe("endpointsDue", () => {
  const due = async () => (await endpointsDue(owed.database.db)).map(({ endpointId }) => endpointId);

  test("names each endpoint with due deliveries once", async () => {
    await owe(10);
    await owe(20);
    expect(await endpointsDue(owed.database.db)).toEqual([
      { projectId: defaultProjectId, endpointId: owed.endpoint.id },
    ]);
    await owe(10, { endpoint_id: owed.other.id });
    expect((await due()).sort()).toEqual([owed.endpoint.id, owed.other.id].sort());
  });

  test("leaves out those whose deliveries are leased, held or not yet due", async () => {
    await owe(10);
    await lease();
    await owe(10, { state: "held" });
    await owe(-60);
    expect(await due()).toEqual([]);
  });

  test("leaves out one whose lane rests", async () => {
    await owe(10);
    const pause = (seconds: number) =>
      owed.database.db.query("update webhook_lanes set paused_until = now() + $1 * interval '1 second'", [
        seconds,
      ]);
    await pause(60);
    expect(await due()).toEqual([]);
    await pause(-1);
    expect(await due()).toEqual([owed.endpoint.id]);
  });

  test("leaves out a disabled endpoint", async () => {
    await owe(10);
    await owed.database.db.query("update webhook_endpoints set state = 'disabled' where id = $1", [
      owed.endpoint.id,
    ]);
    expect(await due()).toEqual([]);
  });
});

test("an existing delivery stays as it is when it is owed again", async () => {
  const id = await owe(10);
  await lease();

  await owe(10, { id, body: "another" });

  const rows = await owed.database.db.query("select state, body from deliveries");
  expect(rows).toEqual([{ state: "leased", body: "{}" }]);
});
