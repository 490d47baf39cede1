import { expect, test } from "vitest";
import { postLimit } from "../../src/descriptors.ts";
import { createSocketRoom } from "../../src/webhooks/socket-room.ts";

const never = new AbortController().signal;

test.each([
  [64, 8],
  [256, 39],
  [1_024, 231],
  [1_000_000, 249_975],
])("of %i descriptors posts may use a part", (descriptors, room) => {
  expect(postLimit(descriptors)).toBe(room);
});

test("places are taken in turn, and nobody takes all that are free", async () => {
  const room = createSocketRoom(8);
  const first = await room.take(never);
  const grown = [first?.grow(20), first?.grow(2)];
  const second = await room.take(never);
  while ((second?.grow(20) ?? 20) + (grown[0] ?? 0) < 8);
  const order: string[] = [];
  const waiting = ["third", "fourth"].map(async (name) => {
    const places = await room.take(never);
    order.push(name);
    places?.keep(0);
  });
  second?.leave();
  await Promise.all(waiting);

  expect(grown).toEqual([5, 5]);
  expect(order).toEqual(["third", "fourth"]);
});

test("who stops waiting gets no place, and takes none from others", async () => {
  const room = createSocketRoom(1);
  const places = await room.take(never);
  const stopping = new AbortController();
  const stopped = room.take(stopping.signal);
  const next = room.take(never);
  stopping.abort();
  places?.keep(0);

  expect(await stopped).toBeNull();
  expect(await next).not.toBeNull();
});
