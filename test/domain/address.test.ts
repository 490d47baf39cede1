import { describe, expect, test } from "vitest";
import { domainOf, parseAddress } from "../../src/domain/address.ts";

describe("parseAddress", () => {
  test.each([
    ["jane@example.com", "jane@example.com", "jane@example.com", null],
    ["  jane@example.com \n", "jane@example.com", "jane@example.com", null],
    ["Jane.Doe+X@Example.COM", "Jane.Doe+X@Example.COM", "jane.doe+x@example.com", null],
    ["<jane@example.com>", "jane@example.com", "jane@example.com", null],
    ["Jane Doe <jane@example.com>", "jane@example.com", "jane@example.com", "Jane Doe"],
    ["Jane Doe<jane@example.com> ", "jane@example.com", "jane@example.com", "Jane Doe"],
    ['"Doe, Jane" <JANE@example.com>', "JANE@example.com", "jane@example.com", "Doe, Jane"],
    ['"Jane \\"J\\" Doe" <jane@example.com>', "jane@example.com", "jane@example.com", 'Jane "J" Doe'],
    ['"a <b@c.example>" <jane@example.com>', "jane@example.com", "jane@example.com", "a <b@c.example>"],
    ['"" <jane@example.com>', "jane@example.com", "jane@example.com", null],
    ["=?UTF-8?Q?J=C3=A9?= <jane@example.com>", "jane@example.com", "jane@example.com", "=?UTF-8?Q?J=C3=A9?="],
    ["Zoë <zoë@example.com>", "zoë@example.com", "zoë@example.com", "Zoë"],
    ["jane@Bücher.example", "jane@Bücher.example", "jane@xn--bcher-kva.example", null],
    ["jane@xn--bcher-kva.example", "jane@xn--bcher-kva.example", "jane@xn--bcher-kva.example", null],
    ["jane@例え.jp", "jane@例え.jp", "jane@xn--r8jz45g.jp", null],
    ['"a@b"@example.com', '"a@b"@example.com', '"a@b"@example.com', null],
  ])("reads %j", (text, asSent, matched, displayName) => {
    expect(parseAddress(text)).toEqual({ asSent, matched, displayName });
  });

  test.each([
    ["zo\u00eb@example.com", "zoe\u0308@example.com"],
    ["ZO\u00cb@example.com", "zoe\u0308@example.com"],
    ["\u1ec7@example.com", "e\u0323\u0302@example.com"],
    ["jane@b\u00fccher.example", "jane@bu\u0308cher.example"],
  ])("matches %j and its other spelling, and keeps each as it was sent", (composed, decomposed) => {
    const [one, other] = [parseAddress(composed), parseAddress(decomposed)];

    expect(other?.matched).toBe(one?.matched);
    expect(other?.matched).toBe(one?.matched.normalize("NFC"));
    expect([one?.asSent, other?.asSent]).toEqual([composed, decomposed]);
  });

  test.each([
    "",
    " ",
    "jane",
    "jane@",
    "@example.com",
    "@",
    "Jane <jane>",
    "Jane <>",
    "jane@example.com <jane>",
  ])("gives null for %j", (text) => {
    expect(parseAddress(text)).toBeNull();
  });

  test("reads a domain that only looks like an IDN as it is written", () => {
    expect(parseAddress("jane@ü b.example")?.matched).toBe("jane@ü b.example");
  });

  test.each([
    "jane@bücher.example/x",
    "jane@bücher.example:80",
    "jane@bücher.example?x",
    "jane@bücher.example#x",
  ])("does not take %s for the address without its ending", (text) => {
    expect(parseAddress(text)?.matched).toBe(text);
  });
});

describe("domainOf", () => {
  test("is what follows the last @", () => {
    expect(domainOf('"a@b"@example.com')).toBe("example.com");
  });
});
