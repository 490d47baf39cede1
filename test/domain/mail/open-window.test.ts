import { expect, test } from "vitest";
import { isWithinOpenWindow } from "../../../src/domain/mail/decision.ts";

const last = { at: new Date("2026-11-20T10:00:00.000Z"), id: "1" };
const after = (ms: number) => new Date(last.at.getTime() + ms);

test("an open lies within the window until 20:00 after the last counted one, which lies outside", () => {
  const inside = [0, 1, 1_199_999].map((ms) => isWithinOpenWindow(after(ms), last, 1200));
  const outside = [1_200_000, 1_200_001].map((ms) => isWithinOpenWindow(after(ms), last, 1200));

  expect([inside, outside]).toEqual([
    [true, true, true],
    [false, false],
  ]);
});

test("the first open lies in no window", () => {
  expect(isWithinOpenWindow(after(0), null, 1200)).toBe(false);
});

test("a window of 0 seconds holds nothing", () => {
  expect(isWithinOpenWindow(after(0), last, 0)).toBe(false);
});
