import { describe, expect, test } from "vitest";
import { isTestAddress, parseAddress } from "../../src/domain/address.ts";
import { type CustomEvent, decideCustomEvents } from "../../src/domain/custom-event.ts";
import { mailFacts } from "../../src/domain/mail-facts.ts";

const event = (id: string): CustomEvent => ({
  id,
  name: "confirmation",
  occurred_at: new Date("2026-11-20T10:00:00.000Z"),
  properties: { orderId: "1001" },
});

describe("decideCustomEvents", () => {
  test("counts the event that holds the order and one that names none, and discards the others", () => {
    const holders = new Map([
      ["first", "first"],
      ["again", "first"],
      ["late", "of another day"],
    ]);

    expect(decideCustomEvents(["again", "first", "none", "late"].map(event), holders)).toEqual([
      {
        ...event("again"),
        discarded: "duplicate_order",
        detail: { properties: { orderId: "1001" }, kept: "first" },
      },
      { ...event("first"), discarded: null, detail: { properties: { orderId: "1001" } } },
      { ...event("none"), discarded: null, detail: { properties: { orderId: "1001" } } },
      {
        ...event("late"),
        discarded: "duplicate_order",
        detail: { properties: { orderId: "1001" }, kept: "of another day" },
      },
    ]);
  });
});

describe("isTestAddress", () => {
  test.each([
    ["success@simulator.amazonses.com", true],
    ["bounce@eu.simulator.amazonses.com", true],
    ["jane@example.com", false],
    ["jane@notsimulator.amazonses.com", false],
    ["jane@simulator.amazonses.com.example.com", false],
  ])("%s: %j, as for emails", (text, isTest) => {
    expect(isTestAddress(text)).toBe(isTest);
    expect(mailFacts({ messageId: "message-1" }, parseAddress(text)!, true).is_test).toBe(isTest);
  });
});
