import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { limitAttempt } from "../../src/webhooks/attempt-limits.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** An attempt of at most so many milliseconds. */
function attempt(stopping: AbortSignal, milliseconds: number) {
  const limit = limitAttempt(stopping, milliseconds);
  limit.end = vi.fn();
  return limit;
}

test("each attempt is ended when its own time is over, and never again", () => {
  const { signal } = new AbortController();
  const first = attempt(signal, 1_000);
  vi.advanceTimersByTime(400);
  const second = attempt(signal, 1_000);
  const shorter = attempt(signal, 100);

  vi.advanceTimersByTime(599);
  expect(first.isOverdue).toBe(false);
  expect(shorter.isOverdue).toBe(true);
  vi.advanceTimersByTime(2);
  expect([first.isOverdue, second.isOverdue]).toEqual([true, false]);
  vi.advanceTimersByTime(400);
  expect(second.isOverdue).toBe(true);
  vi.advanceTimersByTime(10_000);
  for (const { end } of [first, second, shorter]) expect(end).toHaveBeenCalledTimes(1);
});

test("an attempt that is released is not ended, and one that begins much later has its whole time", () => {
  const { signal } = new AbortController();
  const released = attempt(signal, 1_000);
  released.release();
  vi.advanceTimersByTime(60_000);
  const later = attempt(signal, 1_000);

  vi.advanceTimersByTime(999);
  expect(later.end).not.toHaveBeenCalled();
  vi.advanceTimersByTime(2);
  expect(later.end).toHaveBeenCalledTimes(1);
  expect(released.end).not.toHaveBeenCalled();
});

test("when the process stops, all its attempts are ended before their time, and none of another process's", () => {
  const stop = new AbortController();
  const ours = [attempt(stop.signal, 1_000), attempt(stop.signal, 2_000)];
  const other = attempt(new AbortController().signal, 1_000);
  stop.abort();

  for (const { end, isOverdue } of ours) {
    expect(end).toHaveBeenCalledTimes(1);
    expect(isOverdue).toBe(false);
  }
  expect(other.end).not.toHaveBeenCalled();
});

test("an attempt that is released by the end of another one is not ended", () => {
  const { signal } = new AbortController();
  const first = attempt(signal, 1_000);
  const second = attempt(signal, 1_000);
  first.end = () => second.release();
  vi.advanceTimersByTime(2_000);

  expect(first.isOverdue).toBe(true);
  expect(second.end).not.toHaveBeenCalled();
});
