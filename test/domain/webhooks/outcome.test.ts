import { describe, expect, test } from "vitest";
import { failureOfStatus, type MadeAttempt, outcomeOf } from "../../../src/domain/webhooks/outcome.ts";

const answered = (status: number, retryAfterMs = 0): MadeAttempt => ({
  kind: "made",
  failure: failureOfStatus(status),
  status,
  retryAfterMs,
  message: null,
  excerpt: "",
});
const failed: MadeAttempt = {
  kind: "made",
  failure: "timeout",
  status: null,
  retryAfterMs: 0,
  message: "no answer",
  excerpt: null,
};

describe("outcomeOf", () => {
  test.each([200, 201, 204, 299])("%i is success, in the last attempt too", (status) => {
    expect(outcomeOf(answered(status), 1, 0.5)).toEqual({ state: "succeeded" });
    expect(outcomeOf(answered(status), 10, 0.5)).toEqual({ state: "succeeded" });
  });

  test.each([300, 301, 302, 304, 400, 404, 429, 500, 503])("%i is tried again", (status) => {
    expect(outcomeOf(answered(status), 1, 0.5)).toEqual({ state: "retrying", delayMs: 5_000 });
  });

  test("what an endpoint that is gone would have got is held, in the last attempt too", () => {
    expect(outcomeOf(answered(410), 1, 0.5)).toEqual({ state: "held" });
    expect(outcomeOf(answered(410), 10, 0.5)).toEqual({ state: "held" });
  });

  test("a success that was cut off is none", () => {
    expect(outcomeOf({ ...answered(200), failure: "timeout" }, 1, 0.5)).toEqual({
      state: "retrying",
      delayMs: 5_000,
    });
  });

  test("no answer is tried again", () => {
    expect(outcomeOf(failed, 2, 0.5)).toEqual({ state: "retrying", delayMs: 300_000 });
  });

  test("a failed tenth attempt exhausts the delivery", () => {
    expect(outcomeOf(answered(500), 10, 0.5)).toEqual({ state: "exhausted" });
    expect(outcomeOf(failed, 10, 0.5)).toEqual({ state: "exhausted" });
    expect(outcomeOf(failed, 9, 0.5)).toEqual({ state: "retrying", delayMs: 86_400_000 });
  });

  test("the receiver's Retry-After is a floor", () => {
    expect(outcomeOf(answered(429, 60_000), 1, 0.5)).toEqual({ state: "retrying", delayMs: 60_000 });
  });
});

describe("failureOfStatus", () => {
  test.each([
    [200, null],
    [299, null],
    [300, "http_3xx"],
    [399, "http_3xx"],
    [400, "http_4xx"],
    [499, "http_4xx"],
    [500, "http_5xx"],
    [599, "http_5xx"],
  ])("of an answer %i is %s", (status, expected) => {
    expect(failureOfStatus(status)).toBe(expected);
  });
});
