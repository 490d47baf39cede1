import { describe, expect, test } from "vitest";
import { afterFailure, parseRetryAfter } from "../../../src/domain/webhooks/retry-schedule.ts";

const hourMs = 3_600_000;
/** From webhooks.md: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, ±20 %. */
const schedule = [
  [1, 4_000, 5_000, 6_000],
  [2, 240_000, 300_000, 360_000],
  [3, 1_440_000, 1_800_000, 2_160_000],
  [4, 1.6 * hourMs, 2 * hourMs, 2.4 * hourMs],
  [5, 4 * hourMs, 5 * hourMs, 6 * hourMs],
  [6, 8 * hourMs, 10 * hourMs, 12 * hourMs],
  [7, 11.2 * hourMs, 14 * hourMs, 16.8 * hourMs],
  [8, 16 * hourMs, 20 * hourMs, 24 * hourMs],
  [9, 19.2 * hourMs, 24 * hourMs, 28.8 * hourMs],
] as const;

describe("afterFailure", () => {
  test.each(schedule)("waits after attempt %i from %i to %i to %i ms", (attempt, least, usual, most) => {
    expect(afterFailure(attempt, 0)).toEqual({ kind: "retry", delayMs: least });
    expect(afterFailure(attempt, 0.5)).toEqual({ kind: "retry", delayMs: usual });
    expect(afterFailure(attempt, 1 - Number.EPSILON)).toEqual({ kind: "retry", delayMs: most });
  });

  test.each([10, 11, 100])("gives up after attempt %i, whatever the receiver asks for", (attempt) => {
    expect(afterFailure(attempt, 0.5, 60_000)).toEqual({ kind: "give-up" });
  });

  test("takes what the receiver asks for as a floor", () => {
    expect(afterFailure(1, 0.5, 4_999)).toEqual({ kind: "retry", delayMs: 5_000 });
    expect(afterFailure(1, 0.5, 5_001)).toEqual({ kind: "retry", delayMs: 5_001 });
    expect(afterFailure(9, 1 - Number.EPSILON, 24 * hourMs)).toEqual({
      kind: "retry",
      delayMs: 28.8 * hourMs,
    });
  });

  test.each([24 * hourMs, 24 * hourMs + 1, Number.POSITIVE_INFINITY])(
    "waits at most 24 hours when the receiver asks for %d ms",
    (retryAfterMs) => {
      expect(afterFailure(1, 0.5, retryAfterMs)).toEqual({ kind: "retry", delayMs: 24 * hourMs });
    },
  );
});

describe("parseRetryAfter", () => {
  const now = new Date("2026-11-20T10:00:00.000Z");

  test.each([
    ["120", 120_000],
    [" 120 ", 120_000],
    ["0", 0],
    ["Fri, 20 Nov 2026 10:02:00 GMT", 120_000],
    ["Friday, 20-Nov-26 10:02:00 GMT", 120_000],
    ["Fri Nov 20 10:02:00 2026", 120_000],
    [" Fri, 20 Nov 2026 10:02:00 GMT ", 120_000],
    ["Fri, 20 Nov 2026 09:58:00 GMT", 0],
    ["Fri, 20 Nov 2026 10:00:00 GMT", 0],
  ])("reads %j as %i ms", (header, ms) => {
    expect(parseRetryAfter(header, now)).toBe(ms);
  });

  test.each([undefined, "", "soon", "-120", "1.5", "120s", "10 seconds", "1e9", "0x10", "retry 2099", "NaN"])(
    "asks for nothing with %j",
    (header) => {
      expect(parseRetryAfter(header, now)).toBe(0);
    },
  );

  test("may ask for more than any number: afterFailure limits it", () => {
    const retryAfterMs = parseRetryAfter("9".repeat(400), now);

    expect(afterFailure(1, 0.5, retryAfterMs)).toEqual({ kind: "retry", delayMs: 24 * hourMs });
  });
});
