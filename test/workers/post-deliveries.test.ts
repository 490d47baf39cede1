import { expect, test, vi } from "vitest";
import type { LeasedDelivery } from "../../src/storage/webhooks/leases.ts";
import { inOrder, type PostedDelivery, sideBySide } from "../../workers/post-deliveries.ts";

function leased(count: number): LeasedDelivery[] {
  return Array.from({ length: count }, (_, n) => ({
    id: String(n),
    event_id: String(n),
    body: "{}",
    attempts: 0,
    schedule_step: 0,
    traceparent: null,
  }));
}

function ended({ id }: LeasedDelivery, isSuccess: boolean): PostedDelivery {
  const outcome = isSuccess
    ? ({ state: "succeeded" } as const)
    : ({ state: "retrying", delayMs: 5_000 } as const);
  return { delivery_id: id, outcome, attempt: null, made: null, isOurFault: false };
}

/** Answers posts in turn; those of the numbers in `failing` fail. */
function endpoint(failing: readonly number[] = []) {
  const begun: string[] = [];
  let open = 0;
  let most = 0;
  const post = async (delivery: LeasedDelivery): Promise<PostedDelivery> => {
    begun.push(delivery.id);
    most = Math.max(most, ++open);
    await new Promise((resolve) => setImmediate(resolve));
    open--;
    return ended(delivery, !failing.includes(Number(delivery.id)));
  };
  return { begun, post, most: () => most };
}

const places = () => ({ grow: () => 0, keep: () => {}, leave: vi.fn() });
const inAnHour = () => performance.now() + 3_600_000;
const states = (posted: readonly PostedDelivery[]) =>
  Object.fromEntries(posted.map(({ delivery_id, outcome }) => [delivery_id, outcome.state]));

test("at most so many are posted at once, each one once, and every place is given back", async () => {
  const { begun, post, most } = endpoint();
  const held = places();

  const posted = await sideBySide(leased(50), { size: 7, endMs: inAnHour(), places: held, post });

  expect(most()).toBe(7);
  expect(begun).toEqual(leased(50).map(({ id }) => id));
  expect(new Set(Object.values(states(posted)))).toEqual(new Set(["succeeded"]));
  expect(posted).toHaveLength(50);
  expect(held.leave).toHaveBeenCalledTimes(7);
});

test("after a failure none is begun, what is in flight ends, and those left are due as before", async () => {
  const { begun, post } = endpoint([4]);

  const posted = await sideBySide(leased(20), { size: 3, endMs: inAnHour(), places: places(), post });

  expect(begun.length).toBeLessThanOrEqual(4 + 3);
  expect(posted).toHaveLength(20);
  const expected = (id: string) => (id === "4" ? "retrying" : begun.includes(id) ? "succeeded" : "released");
  expect(states(posted)).toEqual(Object.fromEntries(leased(20).map(({ id }) => [id, expected(id)])));
});

test("at the end of a turn none is begun any more", async () => {
  const { begun, post } = endpoint();

  const posted = await sideBySide(leased(9), { size: 2, endMs: performance.now(), places: places(), post });

  expect(begun).toEqual(["0", "1"]);
  expect(Object.values(states(posted)).filter((state) => state === "released")).toHaveLength(7);
});

test("in order, those behind a failure are due as before", async () => {
  const { begun, post, most } = endpoint([2]);

  const posted = await inOrder(leased(6), post);

  expect(most()).toBe(1);
  expect(begun).toEqual(["0", "1", "2"]);
  expect(posted.map(({ outcome }) => outcome.state)).toEqual([
    "succeeded",
    "succeeded",
    "retrying",
    "released",
    "released",
    "released",
  ]);
});
