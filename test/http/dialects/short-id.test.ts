import fc from "fast-check";
import { expect, test } from "vitest";
import { computedId, timeOfId } from "../../../src/domain/computed-id.ts";
import { shortId, timeOfShortId } from "../../../src/http/dialects/emailit/short-id.ts";

test("a short id has 16 letters and digits, and holds the time", () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31), fc.nat(2 ** 16), fc.string(), (high, low, key) => {
      const time = high * 2 ** 16 + low;
      const id = computedId(time, [key]);
      expect(shortId(id)).toMatch(/^[0-9A-Za-z]{16}$/);
      expect(timeOfShortId(shortId(id))).toBe(timeOfId(id));
    }),
  );
});

test("events of one moment have different short ids", () => {
  const ids = Array.from({ length: 10_000 }, (_, n) => shortId(computedId(1_700_000_000_000, [String(n)])));

  expect(new Set(ids).size).toBe(ids.length);
});

test("a uuid tells its time too, and other text none", () => {
  const id = computedId(1_700_000_000_123, ["a"]);

  expect(timeOfShortId(id.toUpperCase())).toBe(1_700_000_000_123);
  expect(["", "abc", "x".repeat(17), "zzzzzzzzzzzzzzzz", "0000-000000000000"].map(timeOfShortId)).toEqual([
    null,
    null,
    null,
    null,
    null,
  ]);
});
