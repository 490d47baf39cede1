import { expect, test } from "vitest";
import { type JournalReach, reachesTo } from "../../../src/tools/rebuild/activity-difference.ts";

const reach = (fields: Partial<JournalReach> = {}): JournalReach => ({
  days: new Set(["2026-11-20", "2026-11-21", "2026-11-23", "2026-11-24"]),
  droppedBefore: null,
  readAt: new Date("2026-11-24T12:00:00Z"),
  ...fields,
});
const noonOf = (day: string) => new Date(`${day}T12:00:00Z`);

test("a journal reaches to a day that it has, with the day after", () => {
  expect(reachesTo(reach(), noonOf("2026-11-20"))).toBe(true);
  expect(reachesTo(reach(), noonOf("2026-11-21"))).toBe(false);
  expect(reachesTo(reach(), noonOf("2026-11-22"))).toBe(false);
  expect(reachesTo(reach(), noonOf("2026-11-23"))).toBe(true);
});

test("the day after the last need not be there yet", () => {
  expect(reachesTo(reach(), new Date("2026-11-24T11:59:00Z"))).toBe(true);
});

test("what retention has dropped is not reached, even where a replay made the day again", () => {
  const dropped = reach({ droppedBefore: new Date("2026-11-21T00:00:00Z") });

  expect(reachesTo(dropped, noonOf("2026-11-20"))).toBe(false);
  expect(reachesTo(dropped, noonOf("2026-11-23"))).toBe(true);
});
