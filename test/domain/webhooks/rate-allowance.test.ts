import fc from "fast-check";
import { expect, test } from "vitest";
import {
  afterTaking,
  allowedNow,
  msUntilAllowed,
  type RateAllowance,
} from "../../../src/domain/webhooks/rate-allowance.ts";

const full: RateAllowance = { tokens: null, tokens_at: null };
const at = (ms: number) => new Date(1_700_000_000_000 + ms);

test("a second's worth is there at first, and what was taken comes back at the rate", () => {
  expect(allowedNow(full, 5, at(0))).toBe(5);
  const none = afterTaking(full, 5, 5, at(0));
  expect([0, 199, 200, 999, 1_000, 60_000].map((ms) => allowedNow(none, 5, at(ms)))).toEqual([
    0, 0, 1, 4, 5, 5,
  ]);
});

test("says how long to wait for the next one", () => {
  expect(msUntilAllowed(full, 5, at(0))).toBe(0);
  expect(msUntilAllowed(afterTaking(full, 5, 5, at(0)), 5, at(0))).toBe(200);
  expect(msUntilAllowed(afterTaking(full, 0.1, 1, at(0)), 0.1, at(0))).toBe(10_000);
});

test("a clock that goes back gives nothing and takes nothing", () => {
  const none = afterTaking(full, 5, 5, at(1_000));
  expect(allowedNow(none, 5, at(0))).toBe(0);
});

test("over any time no more goes out than the rate and one second's worth", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.1, max: 200, noNaN: true }),
      fc.array(fc.nat(700), { maxLength: 60 }),
      fc.nat(30),
      (rate, waits, wanted) => {
        let allowance = full;
        let ms = 0;
        let taken = 0;
        for (const wait of waits) {
          ms += wait;
          const now = at(ms);
          const count = Math.min(wanted, allowedNow(allowance, rate, now));
          allowance = afterTaking(allowance, rate, count, now);
          taken += count;
        }
        expect(taken).toBeLessThanOrEqual(Math.max(1, rate) + (rate * ms) / 1000 + 1e-6);
      },
    ),
  );
});
