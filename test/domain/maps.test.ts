import fc from "fast-check";
import { expect, test } from "vitest";
import { passing } from "../../src/domain/maps.ts";

test("items that come and go are kept in the order in which they came, whichever go, and however often", () => {
  const steps = fc.array(fc.record({ isComing: fc.boolean(), of: fc.nat(20) }), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (steps) => {
      const items = passing<number>();
      const leaves: (() => boolean)[] = [];
      let expected: number[] = [];
      for (const { isComing, of } of steps) {
        if (isComing) {
          expected.push(leaves.length);
          leaves.push(items.add(leaves.length));
        } else {
          expect(leaves[of]?.() ?? false).toBe(expected.includes(of));
          expected = expected.filter((item) => item !== of);
        }
        expect(items.all()).toEqual(expected);
        expect(items.first()).toBe(expected[0]);
      }
    }),
  );
});
