import { describe, expect, test } from "vitest";
import { parseSesTime, timeOfMessageId } from "../../src/domain/ses-time.ts";

describe("parseSesTime", () => {
  test.each([
    ["2026-03-26T02:13:21.662Z", "2026-03-26T02:13:21.662Z"],
    ["2026-03-26T02:13:21Z", "2026-03-26T02:13:21.000Z"],
    ["2026-03-26T02:13:21.662123Z", "2026-03-26T02:13:21.662Z"],
    ["2018-10-08T14:05:45 +0000", "2018-10-08T14:05:45.000Z"],
    ["2018-10-08T14:05:45 +00:00", "2018-10-08T14:05:45.000Z"],
    ["2018-10-08T14:05:45+0000", "2018-10-08T14:05:45.000Z"],
    ["2018-10-08T14:05:45.5 -0530", "2018-10-08T19:35:45.500Z"],
    ["2026-03-25T21:13:23.000-05:00", "2026-03-26T02:13:23.000Z"],
    ["2026-03-26T02:13:21", "2026-03-26T02:13:21.000Z"],
    ["2000-01-01T00:00:00.000Z", "2000-01-01T00:00:00.000Z"],
    ["2099-12-31T23:59:59.999Z", "2099-12-31T23:59:59.999Z"],
  ])("reads %s as %s, in whichever zone the machine is", (text, time) => {
    expect(parseSesTime(text)?.toISOString()).toBe(time);
  });

  test.each([
    null,
    undefined,
    "",
    "now",
    "5",
    "1763640000000",
    "yesterday 3",
    "Wed, 27 Jan 2016 14:05:45 +0000",
    "2026-03-26",
    "2026-13-26T02:13:21Z",
    "2026-03-26T25:13:21Z",
    "2026-03-26T02:13:21 Europe/Berlin",
    "x2026-03-26T02:13:21Z",
    "1999-12-31T23:59:59.999Z",
    "2100-01-01T00:00:00.000Z",
    "+275760-09-13T00:00:00.000Z",
  ])("gives null for %j", (text) => {
    expect(parseSesTime(text)).toBeNull();
  });
});

describe("timeOfMessageId", () => {
  test.each([
    ["0100019d27eaf07e-948fa8de-1f33-4f06-a01a-ecb1973e1c20-000000", "2026-03-26T02:13:21.662Z"],
    ["000001378603177f-7a5433e7-8edb-42ae-af10-f0181f34d6ee-000000", "2012-05-25T21:59:38.623Z"],
    ["0102019D27EAF07E-948FA8DE", "2026-03-26T02:13:21.662Z"],
  ])("of %s is %s", (messageId, time) => {
    expect(timeOfMessageId(messageId)?.toISOString()).toBe(time);
  });

  test.each([
    "",
    "message-1",
    "0100019d27eaf07e",
    "100019d27eaf07e-948fa8de",
    "x0100019d27eaf07e-948fa8de",
    "0100019d27eaf07e948fa8de",
    "0100000000000000-948fa8de",
    "0100ffffffffffff-948fa8de",
  ])("of %j is null", (messageId) => {
    expect(timeOfMessageId(messageId)).toBeNull();
  });
});
