import fc from "fast-check";
import { expect, test } from "vitest";
import {
  originalTiming,
  paced,
  type Schedule,
  steadyRate,
} from "../../../src/tools/captures/post-notifications.ts";

const startMs = Date.parse("2026-11-20T10:00:00.000Z");
const at = (seconds: number | null) => ({
  publishedAt: seconds === null ? null : new Date(startMs + seconds * 1000),
});

/** @returns after how many milliseconds each was handed out, by a clock that only waiting moves. */
async function played(seconds: (number | null)[], schedule: Schedule): Promise<number[]> {
  let nowMs = 5_000;
  const pacing = {
    nowMs: () => nowMs,
    async pause(milliseconds: number) {
      nowMs += milliseconds;
    },
  };
  async function* items() {
    yield* seconds.map(at);
  }
  const times: number[] = [];
  for await (const _ of paced(items(), schedule, pacing)) times.push(nowMs - 5_000);
  return times;
}

test("the original timing is kept, scaled, from the first notification on", async () => {
  expect(await played([60, 61, 61, 71], originalTiming(1))).toEqual([0, 1_000, 1_000, 11_000]);
  expect(await played([60, 61, 61, 71], originalTiming(10))).toEqual([0, 100, 100, 1_100]);
  expect(await played([60, 61], originalTiming(0.5))).toEqual([0, 2_000]);
});

test("one that was captured late or has no time is due with the one before", async () => {
  expect(await played([null, 60, 70, 65, null, 72], originalTiming(1))).toEqual([
    0, 0, 10_000, 10_000, 10_000, 12_000,
  ]);
});

test("a steady rate is even", async () => {
  expect(await played([null, 9, 1, 5], steadyRate(4))).toEqual([0, 250, 500, 750]);
});

test("overdue items are yielded at once, and the rest in time", async () => {
  let nowMs = 0;
  const pacing = {
    nowMs: () => nowMs,
    pause: async (milliseconds: number) => {
      nowMs += milliseconds;
    },
  };
  async function* items() {
    yield* [0, 1, 2, 10].map(at);
  }
  const times: number[] = [];
  for await (const _ of paced(items(), originalTiming(1), pacing)) {
    times.push(nowMs);
    // Posting the first one takes three seconds.
    if (times.length === 1) nowMs += 3_000;
  }
  expect(times).toEqual([0, 3_000, 3_000, 10_000]);
});

test("whatever is captured, the order stays and nothing is early", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(fc.integer({ min: 0, max: 1_000_000 }))),
      fc.integer({ min: 1, max: 1_000 }),
      async (seconds, factor) => {
        const times = await played(seconds, originalTiming(factor));
        expect(times).toEqual(times.toSorted((one, other) => one - other));
        const first = seconds.find((one) => one !== null) ?? 0;
        for (const [place, second] of seconds.entries())
          expect(times[place]).toBeGreaterThanOrEqual((((second ?? first) - first) * 1000) / factor - 1e-3);
      },
    ),
  );
});
