import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { domainOf, parseAddress, parseAddresses } from "../../src/domain/address.ts";

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

  test.each([
    "jane@ü b.example",
    "jane doe@example.com",
    '""@example.com',
    "jane@.example.com",
    "a@example.com, b@example.com",
    "a@example.com; <b@example.com>",
    "undisclosed-recipients:;",
    `${"j".repeat(310)}@example.com`,
  ])("does not make one address of %j", (text) => {
    expect(parseAddress(text)).toBeNull();
  });

  test.each([
    ...["'jo@example.com'", '"jo@example.com"', '"jo@example.com', 'jo@example.com"', "`jo@example.com'"],
    ...["“jo@example.com”", "[jo@example.com]", "<jo@example.com", "jo@example.com>", "<<jo@example.com>>"],
    ...["jo@example.com.", "jo@example.com..", "jo@example.com,", "jo@example.com;", "jo@example.com:"],
    ...["jo@example.com (Ann)", "(Ann (of us)) jo@example.com", "jo(Ann)@example.com", "jo@example.com (Ann"],
    ...[
      '"jo"@example.com',
      '"j\\o"@example.com',
      "JO@Example.COM",
      " jo @ example . com\t",
      "jo@exa\r\n mple.com",
    ],
    ...[
      "mailto:jo@example.com",
      "MAILTO:jo@example.com?subject=x",
      "rfc822;jo@example.com",
      "RFC822; jo@example.com",
    ],
    ...[
      "SMTP:jo@example.com",
      "<@relay.example,@mx.example:jo@example.com>",
      "@relay.example:jo@example.com",
    ],
  ])("reads %j as jo@example.com", (text) => {
    expect(parseAddress(text)?.matched).toBe("jo@example.com");
  });

  test.each([
    ['"jo."@example.com', "jo.@example.com"],
    ['"jo".b@example.com', "jo.b@example.com"],
    ['"jo b"@example.com', '"jo b"@example.com'],
    ['"jo\\ b"@example.com', '"jo b"@example.com'],
    ["jo@B\u00dcCHER.example.", "jo@xn--bcher-kva.example"],
    ["jo@XN--BCHER-KVA.example", "jo@xn--bcher-kva.example"],
    ["jo@[192.0.2.1]", "jo@[192.0.2.1]"],
  ])("brings %j to %j", (text, matched) => {
    expect(parseAddress(text)?.matched).toBe(matched);
  });

  test.each([
    "jo+shop@example.com",
    "j.o@example.com",
    "jo.@example.com",
    "o'jo@example.com",
    "jo@mail.example.com",
  ])("does not take %s for jo@example.com", (text) => {
    expect(parseAddress(text)?.matched).toBe(text);
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

describe("parseAddresses", () => {
  test.each<[string, string[]]>([
    ["a@example.com, b@example.com", ["a@example.com", "b@example.com"]],
    ["Ann <a@example.com>; B <b@example.com>;", ["a@example.com", "b@example.com"]],
    ['"Doe, Jane" <a@example.com>, b@example.com', ["a@example.com", "b@example.com"]],
    ["Doe, Jane <a@example.com>", ["a@example.com"]],
    ["Team: a@example.com, b@example.com;", ["a@example.com", "b@example.com"]],
    ["nobody, a@example.com", ["a@example.com"]],
    ["undisclosed-recipients:;", []],
    ["a@example.com,".repeat(1_000), []],
  ])("reads %j", (text, matched) => {
    expect(parseAddresses(text).map((address) => address.matched)).toEqual(matched);
  });
});

/** An empty comment changes nothing, but the text no longer looks like the usual ones. */
test("usual texts are read as all others are", () => {
  const piece = fc.constantFrom(
    ...["Jane", " ", "Doe", "é", "-", ".", "'", '"', "<", ">", "@", ",", ";", ":", "\\", "\n", "\r\n ", "\t"],
    ...["Jane\n Doe ", "J\r\n\tD "],
    ...["(", ")", "[", "]", "`", "“", "jane@example.com", "<jane@example.com>", " <JANE@Example.com>"],
    ...["<jane@b_d.example>", "<jane@a..example>", "<j@-a.example>", "mailto:", "=?utf-8?q?J?="],
  );
  const pieces = fc.array(piece, { maxLength: 5 }).map((parts) => parts.join(""));
  let named = 0;
  fc.assert(
    fc.property(
      fc.oneof(
        pieces,
        pieces.map((name) => `${name}<Jo+x@Shop.example>`),
      ),
      (text) => {
        const addresses = parseAddresses(text);
        expect(addresses).toEqual(parseAddresses(`${text}()`));
        if (addresses.some(({ displayName }) => displayName !== null)) named++;
      },
    ),
    { numRuns: 3_000 },
  );
  expect(named).toBeGreaterThan(300);
});

describe("domainOf", () => {
  test("is what follows the last @", () => {
    expect(domainOf('"a@b"@example.com')).toBe("example.com");
  });
});
