import { describe, expect, test } from "vitest";
import { isTestAddress, parseAddress } from "../../src/domain/address.ts";
import { type CustomEvent, decideCustomEvents, orderIdOf } from "../../src/domain/custom-event.ts";
import { mailFacts } from "../../src/domain/mail/mail-facts.ts";

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

const orderOf = (properties: Record<string, unknown>, name = "confirmation") =>
  orderIdOf({ name, properties });

describe("orderIdOf", () => {
  test("reads the same order from text, from a number and from inside `generic`", () => {
    expect(orderOf({ orderId: " 1001 " })).toBe("1001");
    expect(orderOf({ orderId: 1001 })).toBe("1001");
    expect(orderOf({ generic: { orderId: "1001" } })).toBe("1001");
    expect(orderOf({ generic: { orderId: 1001 } })).toBe("1001");
  });

  test("takes the outer one where both are there, and the inner one where the outer names no order", () => {
    expect(orderOf({ orderId: "outer", generic: { orderId: "inner" } })).toBe("outer");
    expect(orderOf({ orderId: " ", generic: { orderId: "inner" } })).toBe("inner");
    expect(orderOf({ orderId: null, generic: { orderId: "inner" } })).toBe("inner");
  });

  test("keeps what is part of the text: zeros before it, upper case, blanks inside", () => {
    expect(orderOf({ orderId: "0010 Ab" })).toBe("0010 Ab");
    expect(orderOf({ orderId: 0 })).toBe("0");
  });

  test.each([undefined, null, "", " \n", true, Number.NaN, Number.POSITIVE_INFINITY, {}, ["1001"]])(
    "names no order with %j",
    (orderId) => {
      expect(orderOf({ orderId })).toBeNull();
      expect(orderOf({ generic: { orderId } })).toBeNull();
    },
  );

  test.each([undefined, null, "orderId", 7, []])("survives a `generic` of %j", (generic) => {
    expect(orderOf({ generic })).toBeNull();
  });

  test("is of confirmations alone", () => {
    expect(orderOf({ orderId: "1001" }, "checkout")).toBeNull();
    expect(orderOf({ orderId: "1001" }, "Confirmation")).toBeNull();
  });
});
