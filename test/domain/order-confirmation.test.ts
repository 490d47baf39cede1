import { describe, expect, test } from "vitest";
import { orderIdOf } from "../../src/domain/order-confirmation.ts";

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
