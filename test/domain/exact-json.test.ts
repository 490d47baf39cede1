import { describe, expect, test } from "vitest";
import { ExactNumber, exactJson, parseExactJson, plainDecimal } from "../../src/domain/exact-json.ts";

describe("numbers that a double cannot carry", () => {
  test.each([
    "576461413038785751",
    "-576461413038785751",
    "9007199254740993",
    "12345678901234567890",
    "0.1234567890123456789012",
    "1234567890.12345678901",
    "1.00000000000000000001e5",
    "1e400",
    "-1e400",
    "1E+309",
    "1e-400",
    "4e-324",
  ])("%s is written as it was read, wherever it stands", (number) => {
    for (const text of [
      number,
      `[${number}]`,
      `{"a":{"b":[1,${number},"${number}"]},"__proto__":${number}}`,
    ]) {
      expect(exactJson(parseExactJson(text))).toBe(text);
    }
  });

  test.each([
    "0",
    "-7",
    "9007199254740992",
    "0.1",
    "1e22",
    "5e-324",
    "1.7976931348623157e308",
    "100000000000000000000",
  ])("%s is a number as any other", (number) => {
    expect(parseExactJson(number)).toBe(Number(number));
  });

  test("what looks like a number in a text stays a text, also behind quotes and backslashes", () => {
    const value = { "9007199254740993": ['"9007199254740993', "\\", "1e400", '\\"9007199254740993,1e400'] };
    expect(parseExactJson(JSON.stringify(value))).toEqual(value);
  });

  test("depth is that of JSON.parse", () => {
    const text = `${"[".repeat(50_000)}9007199254740993${"]".repeat(50_000)}`;
    expect(Array.isArray(parseExactJson(text))).toBe(true);
  });

  test.each(["", "9007199254740993x", '{"a":9007199254740993', "09007199254740993", "NaN"])(
    "%j is no JSON",
    (text) => {
      expect(() => parseExactJson(text)).toThrow(SyntaxError);
    },
  );

  test.each([
    ["576461413038785751", true],
    [`0.${"1".repeat(900)}`, true],
    ["1e400", false],
    ["1e-400", false],
    ["1".repeat(1_001), false],
  ])("%s can be stored: %j", (text, isStorable) => {
    expect(new ExactNumber(text).isStorable).toBe(isStorable);
  });
});

describe("plainDecimal", () => {
  test.each([
    [1e21, "1000000000000000000000"],
    [1e23, "100000000000000000000000"],
    [-0.5, "-0.5"],
    [1e-7, "0.0000001"],
    [1.5e3, "1500"],
    [0, "0"],
    [new ExactNumber("576461413038785751"), "576461413038785751"],
    [new ExactNumber("576461413038785751.0"), "576461413038785751"],
    [new ExactNumber("57646141303878575.1E1"), "576461413038785751"],
  ])("%j is %s", (number, text) => {
    expect(plainDecimal(number)).toBe(text);
  });
});
