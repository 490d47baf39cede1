import fc from "fast-check";
import { expect, test } from "vitest";
import { takenPrefix } from "../../../src/tools/captures/post.ts";

test("counts the accepted prefix, in whatever order the positions are reported", () => {
  const prefix = takenPrefix(0);
  const counts = [2, 3, 1, 5, 4].map((position) => {
    prefix.take(position);
    return prefix.count();
  });
  expect(counts).toEqual([0, 0, 3, 3, 5]);
});

test("continues after what was accepted before, without counting it again", () => {
  const prefix = takenPrefix(10);
  for (const position of [1, 10, 12, 11]) prefix.take(position);
  expect(prefix.count()).toBe(12);
});

test("counts up to the first that was refused, and never beyond", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 40, maxLength: 40 }),
      fc.uniqueArray(fc.integer({ min: 1, max: 40 })),
      (order, failing) => {
        const prefix = takenPrefix(0);
        const lowest = Math.min(41, ...failing);
        for (const position of order) {
          if (failing.includes(position)) prefix.fail(position);
          else prefix.take(position);
          expect(prefix.count()).toBeLessThan(lowest);
        }
        expect(prefix.count()).toBe(lowest - 1);
      },
    ),
  );
});
