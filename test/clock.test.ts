import { validate, version } from "uuid";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { allWithin, systemClock } from "../src/clock.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const late = () => new Error("late");
const never = new Promise<never>(() => {});

test("work that is done in time passes on its result or its error", async () => {
  const inTime = allWithin(1_000, late);
  await expect(inTime(Promise.resolve("done"))).resolves.toBe("done");
  await expect(inTime(Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  expect(vi.getTimerCount()).toBeLessThan(2);
});

test("each work is late after its own time, and one timer watches over all", async () => {
  const inTime = allWithin(1_000, late);
  const ended: string[] = [];
  const start = (name: string) =>
    void inTime(never).catch((error: Error) => ended.push(`${name} ${error.message}`));
  start("first");
  await vi.advanceTimersByTimeAsync(400);
  start("second");
  start("third");
  expect(vi.getTimerCount()).toBe(1);

  await vi.advanceTimersByTimeAsync(599);
  expect(ended).toEqual([]);
  await vi.advanceTimersByTimeAsync(2);
  expect(ended).toEqual(["first late"]);
  await vi.advanceTimersByTimeAsync(400);
  expect(ended).toEqual(["first late", "second late", "third late"]);
  expect(vi.getTimerCount()).toBe(0);
});

test("ids are different UUIDs of the present time, and ascend", () => {
  const from = Date.now();
  const ids = Array.from({ length: 1_000 }, systemClock.newId);
  expect(ids.every((id) => validate(id) && version(id) === 7)).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
  const times = ids.map((id) => Number.parseInt(id.replace("-", "").slice(0, 12), 16));
  expect(Math.min(...times)).toBeGreaterThanOrEqual(from);
  expect(Math.max(...times)).toBeLessThanOrEqual(Date.now());
});
