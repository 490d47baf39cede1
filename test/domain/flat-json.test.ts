import { describe, expect, test } from "vitest";
import { flatTextsReader } from "../../src/domain/flat-json.ts";

const read = flatTextsReader({
  Type: (text) => /^[A-Z][a-z]*$/.test(text),
  Message: () => true,
  Subject: () => true,
});
const pretty = (...fields: [string, string][]) =>
  `{\n${fields.map(([name, value]) => `  "${name}" : ${value}`).join(",\n")}\n}`;
const compact = (...fields: [string, string][]) =>
  `{${fields.map(([name, value]) => `"${name}":${value}`).join(",")}}`;

describe.each([
  ["as SNS writes", pretty],
  ["as JSON.stringify writes", compact],
])("flatTextsReader, of an object %s,", (_layout, write) => {
  test.each([
    'say "hi",\n  "Type" : "x"',
    'say "hi","Type":"x"',
    'a\\"',
    "\\",
    '"',
    "",
    "comma",
    "line\r\n\u2028é😀\u0000",
  ])("reads %j", (message) => {
    const json = write(["Type", '"Send"'], ["Message", JSON.stringify(message)], ["Subject", '"s"']);
    const last = write(["Subject", '"\\u0073"'], ["Message", JSON.stringify(message)]);

    expect(read(json)).toEqual({ Type: "Send", Message: message, Subject: "s" });
    expect(read(last)).toEqual({ Message: message, Subject: "s" });
  });

  test.each<[string, [string, string][]]>([
    ["another field", [["Other", '"x"']]],
    ["one that every object has", [["constructor", '"x"']]],
    [
      "a field that is given twice",
      [
        ["Message", '"a"'],
        ["Message", '"a"'],
      ],
    ],
    [
      "a field that is given twice with another between",
      [
        ["Message", '"a"'],
        ["Type", '"B"'],
        ["Message", '""'],
      ],
    ],
    [
      "a hidden field",
      [
        ["Message", '"a", "Type" : "B"'],
        ["Subject", '"x"'],
      ],
    ],
    ["a number", [["Message", "5"]]],
    [
      "an object",
      [
        ["Message", '{"Subject":"x"}'],
        ["Type", '"A"'],
      ],
    ],
    ["a list", [["Message", '["a","b"]']]],
    [
      "null",
      [
        ["Subject", "null"],
        ["Type", '"A"'],
      ],
    ],
    [
      "an open text",
      [
        ["Message", '"a'],
        ["Subject", '"x"'],
      ],
    ],
    [
      "an escaped quote at the end",
      [
        ["Message", '"a\\"'],
        ["Subject", '"x"'],
      ],
    ],
    ["a raw line break", [["Message", '"a\nb"']]],
    ["a raw control character", [["Message", '"a\u0001b"']]],
    ["half an escape", [["Message", '"a\\u00"']]],
    ["a text that does not pass its check", [["Type", '"send"']]],
    ["an empty text that does not pass its check", [["Type", '""']]],
  ])("reads nothing in case of %s", (_what, fields) => {
    expect(read(write(...fields))).toBeNull();
  });

  test("reads a text whatever the text before was", () => {
    for (const message of [
      "a",
      "ab",
      "a",
      'a"',
      "a\\",
      "\n",
      "n",
      "",
      "b",
      "a",
      "long ".repeat(100),
      "long ",
    ]) {
      expect(read(write(["Message", JSON.stringify(message)]))).toEqual({ Message: message });
    }
    expect(read(write(["Message", '"\\u0061"']))).toEqual({ Message: "a" });
    expect(read(write(["Message", '"a"']))).toEqual({ Message: "a" });
    for (const message of ['a"', "a\\", "a\n"]) {
      expect(read(write(["Message", JSON.stringify(message)]))).toEqual({ Message: message });
      expect(read(write(["Message", `"${message}"`]))).toBeNull();
    }
  });

  test("checks the first text too, if it is empty", () => {
    expect(flatTextsReader({ Type: (text) => text !== "" })(write(["Type", '""']))).toBeNull();
  });

  test("reads nothing from a part of it, or from more", () => {
    const json = write(["Type", '"Send"'], ["Message", '"a \\" b"']);

    for (let length = 0; length < json.length; length++) expect(read(json.slice(0, length))).toBeNull();
    for (const more of ["}", " ", '"', "\n", ',"Subject":"x"}']) {
      expect(read(json + more)).toBeNull();
      expect(read(more + json)).toBeNull();
    }
  });
});

test.each([
  "",
  "{}",
  "null",
  '"text"',
  "[]",
  '{ "Type": "Send" }',
  '{"Type" : "Send"}',
  '{"Type":"Send",\n"Message":""}',
])("flatTextsReader reads nothing from %j", (json) => {
  expect(read(json)).toBeNull();
});
