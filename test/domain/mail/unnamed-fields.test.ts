import { describe, expect, test } from "vitest";
import { boundedFields } from "../../../src/domain/mail/unnamed-fields.ts";

describe("boundedFields", () => {
  test.each([
    ["letters", "x".repeat(998), true],
    ["letters", "x".repeat(999), false],
    ["control characters, which JSON escapes with six,", "\u0001".repeat(166), true],
    ["control characters, which JSON escapes with six,", "\u0001".repeat(167), false],
    ["quotes, which JSON escapes with two,", '"'.repeat(499), true],
    ["quotes, which JSON escapes with two,", '"'.repeat(500), false],
    ["a list of a text", ["x".repeat(996)], true],
  ])("keeps a value of at most 1,000 characters as JSON whole: %s", (_what, value, isWhole) => {
    const kept = boundedFields({ new: value })?.["new"];

    if (isWhole) expect(kept).toEqual(value);
    else expect(kept).toBe(`${String(value).slice(0, 1_000)}…`);
  });

  test("keeps numbers and booleans, and values to a depth of five", () => {
    const fields = { number: 0, yes: true, no: false, deep: { a: { b: { c: { d: { e: { f: 1 } } } } } } };

    expect(boundedFields(fields)).toEqual({ ...fields, deep: { a: { b: { c: { d: { e: "…" } } } } } });
  });

  test("gives null if no field has a value", () => {
    expect(boundedFields({})).toBeNull();
    expect(boundedFields({ one: null, other: undefined })).toBeNull();
  });

  test("keeps the first 20 fields by name, without names of more than 100 characters, and says so", () => {
    const names = Array.from({ length: 22 }, (_, place) => `field-${String(place).padStart(2, "0")}`);
    const fields = Object.fromEntries(names.toReversed().map((name) => [name, 1]));

    expect(Object.keys(boundedFields(fields) ?? {})).toEqual([...names.slice(0, 20), "…"]);
    expect(boundedFields({ ["n".repeat(101)]: 1, short: 2 })).toEqual({ short: 2, "…": true });
    expect(boundedFields({ ["n".repeat(100)]: 1 })).toEqual({ ["n".repeat(100)]: 1 });
  });
});
