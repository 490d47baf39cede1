import { expect, test } from "vitest";
import { decodedWords } from "../../../src/domain/mail/encoded-words.ts";

test.each([
  ["Your order", "Your order"],
  ["", ""],
  ["=?UTF-8?Q?=E2=98=82_Your_or?=\r\n =?UTF-8?Q?der_is_here?=", "☂ Your order is here"],
  ["=?utf-8?B?Q2Fmw6kgUmVuw6k=?=", "Café René"],
  ["=?utf-8?b?Q2Fmw6k?=", "Café"],
  ["=?iso-8859-1?q?Caf=E9?= and =?utf-8?q?bar?=", "Café and bar"],
  ["Re: =?utf-8?q?a?= b =?utf-8?q?c?=", "Re: a b c"],
  // A character of two words, as some senders split it.
  ["=?utf-8?Q?Caf=C3?= =?utf-8?Q?=A9?=", "Café"],
  ["=?utf-8?B?w6k=?= =?utf-8?Q?=C3=A9?= =?iso-8859-1?Q?=E9?=", "ééé"],
  ["=?ISO-2022-JP?B?GyRCJDMbKEI=?=", "こ"],
  ["=?windows-1252?Q?=80_5?=", "€ 5"],
  ["=?shift_jis?B?grE=?=", "こ"],
  ["=?utf-8*en?Q?a=20b?=", "a b"],
  ["folded\r\n\tplain", "folded\tplain"],
  ["=?utf-8?q?a=00b=0D=0Ac?=", "a b c"],
  ["=?utf-8?q??=", ""],
])("%j is read as %j", (encoded, text) => {
  expect(decodedWords(encoded)).toBe(text);
});

test.each([
  "=?x-unknown?Q?a?=",
  "=?utf-8?X?a?=",
  "=?utf-8?Q?=ZZ?=",
  "=?utf-8?Q?=E9?=",
  "=?utf-8?B?!!?=",
  "=?utf-8?Q?not closed",
  "1 =? 2 ?= 3",
  "=?utf-8?q?=E9?= =?utf-8?b?!?=".replace(" ", ""),
])("%j cannot be read and stays", (malformed) => {
  expect(decodedWords(malformed)).toBe(malformed);
});

test("a word that cannot be read leaves its neighbours", () => {
  expect(decodedWords("=?utf-8?q?a?= =?utf-8?q?=E9?=")).toBe("a=?utf-8?q?=E9?=");
});
