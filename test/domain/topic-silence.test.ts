import { describe, expect, test } from "vitest";
import { afterHearing, type Hearing, isSilent, silentSeconds } from "../../src/domain/topic-silence.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const week = 7 * day;
/** A Monday. */
const beginMs = Date.parse("2026-11-02T00:00:00Z");
const unheard: Hearing = { heard_since: null, last_notification_at: null, usual_gap_seconds: null };

/**
 * Looks at a topic every minute, and hears it whenever it speaks then.
 * @param speaks at a time since the beginning.
 * @returns the times since the beginning at which it began to be silent.
 */
function alarms(untilMs: number, speaks: (ms: number) => boolean): number[] {
  const began: number[] = [];
  let hearing = unheard;
  let wasSilent = false;
  for (let ms = 0; ms < untilMs; ms += minute) {
    const now = new Date(beginMs + ms);
    if (speaks(ms)) hearing = afterHearing(hearing, now);
    const silent = isSilent(hearing, now);
    if (silent && !wasSilent) began.push(ms);
    wasSilent = silent;
  }
  return began;
}

const inOfficeHours = (ms: number) => ms % week < 5 * day && ms % day >= 9 * hour && ms % day < 17 * hour;

describe("over eight weeks", () => {
  test("a sender of office hours alarms on the first weekend alone", () => {
    const began = alarms(8 * week, (ms) => inOfficeHours(ms) && ms % (3 * minute) === 0);
    expect(began.filter((ms) => ms < week)).toHaveLength(1);
    expect(began.filter((ms) => ms >= week)).toEqual([]);
  });

  test("a sender of one campaign a week never alarms", () => {
    expect(alarms(8 * week, (ms) => ms % week >= 10 * hour && ms % week < 11 * hour)).toEqual([]);
  });

  test("a sender that never rests never alarms", () => {
    expect(alarms(8 * week, () => true)).toEqual([]);
  });
});

describe("that a sender has stopped is found", () => {
  test.each([
    ["every minute", minute],
    ["every ten minutes", 10 * minute],
  ])("within half an hour of one that speaks %s", (_often, everyMs) => {
    const stopped = 3 * day;
    const [found = 0, ...more] = alarms(5 * day, (ms) => ms <= stopped && ms % everyMs === 0);
    expect(more).toEqual([]);
    expect((found - stopped) / minute).toBeGreaterThan(15);
    expect((found - stopped) / minute).toBeLessThanOrEqual(30);
  });

  test("within half an hour sixteen weeks after an outage of a day", () => {
    const outage = (ms: number) => ms >= 3 * day && ms < 4 * day;
    const stopped = 3 * day + 16 * week;
    const began = alarms(stopped + day, (ms) => ms <= stopped && !outage(ms));
    expect(began).toHaveLength(2);
    expect(((began[1] ?? 0) - stopped) / minute).toBeLessThanOrEqual(30);
  });

  test("once, and not when the same happens ten days later", () => {
    const pause = (ms: number) => ms % (10 * day) >= 2 * day && ms % (10 * day) < 2 * day + 4 * hour;
    expect(alarms(13 * day, (ms) => !pause(ms))).toEqual([2 * day + 15 * minute]);
  });
});

test("before it has been heard over a day nothing is known of a sender's habits", () => {
  expect(alarms(week, (ms) => ms < day - hour)).toEqual([]);
  expect(alarms(week, (ms) => ms <= day)).toEqual([day + 16 * minute]);
  expect(isSilent(unheard, new Date(beginMs))).toBe(false);
});

test("what comes late by another process's clock changes nothing", () => {
  const heard = afterHearing(afterHearing(unheard, new Date(beginMs)), new Date(beginMs + hour));
  expect(afterHearing(heard, new Date(beginMs + minute))).toEqual(heard);
  expect(silentSeconds(heard, new Date(beginMs))).toBe(0);
  expect(silentSeconds(heard, new Date(beginMs + 2 * hour))).toBe(3600);
  expect(silentSeconds(unheard, new Date(beginMs))).toBeNull();
});
