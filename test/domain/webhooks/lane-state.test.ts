import { describe, expect, test } from "vitest";
import {
  breakerOf,
  freshLane,
  type LaneState,
  laneAfter,
  reasonToDisable,
  turnSize,
} from "../../../src/domain/webhooks/lane-state.ts";
import { failureOfStatus, type MadeAttempt } from "../../../src/domain/webhooks/outcome.ts";

const start = new Date("2026-11-20T10:00:00.000Z");
const at = (seconds: number) => new Date(start.getTime() + seconds * 1000);
const answered = (status: number, retryAfterMs = 0): MadeAttempt => ({
  kind: "made",
  failure: failureOfStatus(status),
  status,
  retryAfterMs,
  message: null,
  excerpt: "",
});
const ok = answered(200);
const bad = answered(500);
const times = (count: number, attempt: MadeAttempt) => Array.from({ length: count }, () => attempt);
const pauseOf = (lane: LaneState, now: Date) =>
  (lane.paused_until?.getTime() ?? now.getTime()) - now.getTime();

describe("breaker", () => {
  test("opens at ten attempts and 70 % failures, not before", () => {
    const nine = laneAfter(freshLane, times(9, bad), at(0));
    expect([breakerOf(nine, at(1)), turnSize(nine, 10, at(1))]).toEqual(["closed", 10]);

    const ten = laneAfter(nine, [bad], at(2));
    expect([breakerOf(ten, at(2)), turnSize(ten, 10, at(2)), pauseOf(ten, at(2))]).toEqual([
      "open",
      0,
      30_000,
    ]);

    const sixOfTen = laneAfter(freshLane, [...times(4, ok), ...times(6, bad)], at(0));
    const sevenOfTen = laneAfter(freshLane, [...times(3, ok), ...times(7, bad)], at(0));
    expect([breakerOf(sixOfTen, at(0)), breakerOf(sevenOfTen, at(0))]).toEqual(["closed", "open"]);
  });

  test("counts the last five minutes", () => {
    const long = laneAfter(freshLane, times(9, bad), at(0));

    expect(breakerOf(laneAfter(long, [bad], at(269)), at(269))).toBe("open");
    expect(breakerOf(laneAfter(long, [bad], at(331)), at(331))).toBe("closed");
  });

  test("lets one probe through when its time is over, and closes at a success", () => {
    const open = laneAfter(freshLane, times(10, bad), at(0));
    expect([breakerOf(open, at(29)), breakerOf(open, at(30))]).toEqual(["open", "half_open"]);
    expect(turnSize(open, 10, at(30))).toBe(1);

    const closed = laneAfter(open, [ok], at(31));
    expect([breakerOf(closed, at(31)), turnSize(closed, 10, at(31))]).toEqual(["closed", 10]);
    // The failures before do not count any more.
    expect(breakerOf(laneAfter(closed, times(9, bad), at(32)), at(32))).toBe("closed");
  });

  test("doubles its time with every probe that fails, up to 15 minutes", () => {
    let lane = laneAfter(freshLane, times(10, bad), at(0));
    const pauses = [pauseOf(lane, at(0))];
    for (let probe = 1; probe <= 7; probe++) {
      lane = laneAfter(lane, [bad], at(probe * 1000));
      pauses.push(pauseOf(lane, at(probe * 1000)));
    }

    expect(pauses.map((ms) => ms / 1000)).toEqual([30, 60, 120, 240, 480, 900, 900, 900]);
  });
});

describe("slowing down", () => {
  test.each([429, 502, 504])("%i halves the next turn and makes it wait, more each time", (status) => {
    const once = laneAfter(freshLane, [answered(status)], at(0));
    expect([pauseOf(once, at(0)), turnSize(once, 10, at(0)), turnSize(once, 10, at(1))]).toEqual([
      1_000, 0, 5,
    ]);

    const twice = laneAfter(once, [answered(status)], at(1));
    expect([pauseOf(twice, at(1)), turnSize(twice, 10, at(3))]).toEqual([2_000, 2]);
    const often = [0, 1, 2, 3, 4, 5].reduce((lane) => laneAfter(lane, [answered(status)], at(9)), twice);
    expect([pauseOf(often, at(9)), turnSize(often, 10, at(99))]).toEqual([60_000, 1]);
  });

  test("ends step by step with what succeeds", () => {
    const twice = laneAfter(laneAfter(freshLane, [answered(429)], at(0)), [answered(429)], at(1));
    const better = laneAfter(twice, [ok], at(9));

    expect([turnSize(better, 10, at(9)), turnSize(laneAfter(better, [ok], at(9)), 10, at(9))]).toEqual([
      5, 10,
    ]);
  });

  test("waits as long as the answer asks for, up to 15 minutes", () => {
    const asked = (seconds: number) => laneAfter(freshLane, [answered(429, seconds * 1000)], at(0));

    expect([pauseOf(asked(120), at(0)), pauseOf(asked(86_400), at(0))]).toEqual([120_000, 900_000]);
  });

  test.each([400, 500, 503])("%i does not ask for it", (status) => {
    expect(pauseOf(laneAfter(freshLane, [answered(status, 120_000)], at(0)), at(0))).toBe(0);
  });
});

test("an ordered lane waits for the delivery that failed", () => {
  expect(pauseOf(laneAfter(freshLane, [bad], at(0), 5_000), at(0))).toBe(5_000);
});

test("a turn without an attempt leaves the lane as it is", () => {
  const open = laneAfter(freshLane, times(10, bad), at(0));
  expect(laneAfter(open, [], at(99))).toBe(open);
});

describe("reasonToDisable", () => {
  const day = 86_400;

  test("is 410, at once", () => {
    expect(reasonToDisable(freshLane, [ok, answered(410)], at(0))).toBe("gone");
  });

  test("is five days of nothing but failures, counted from the first of them", () => {
    const first = laneAfter(freshLane, [bad], at(0));
    const later = laneAfter(first, [bad], at(5 * day - 1));
    const last = laneAfter(first, [bad], at(5 * day));

    expect(reasonToDisable(later, [bad], at(5 * day - 1))).toBeNull();
    expect(reasonToDisable(last, [bad], at(5 * day))).toBe("failing");
  });

  test("begins anew with every success, the last permitted attempt's too", () => {
    const failing = laneAfter(freshLane, [bad], at(0));
    const back = laneAfter(failing, [ok, bad], at(5 * day));

    expect(reasonToDisable(back, [ok, bad], at(5 * day))).toBeNull();
    expect(reasonToDisable(laneAfter(back, [bad], at(6 * day)), [bad], at(6 * day))).toBeNull();
  });

  test("is not an endpoint that nothing happens for", () => {
    const quiet = laneAfter(freshLane, [ok], at(0));

    expect(reasonToDisable(laneAfter(quiet, [bad], at(30 * day)), [bad], at(30 * day))).toBeNull();
  });
});
