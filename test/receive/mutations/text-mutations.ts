import { gzipSync } from "node:zlib";
import type { Random } from "../../../bench/corpus/random.ts";
import type { Fields } from "../../support/sns-signer.ts";
import { type Effect, type Mutations, pickFrom } from "./mutation.ts";

/*
 * Mutations of the JSON text of an envelope, and of its bytes.
 */

/** Ways to write an envelope that make no difference. */
export const layouts: Mutations<(fields: Fields, random: Random) => string> = {
  compact: (fields) => JSON.stringify(fields),
  // As SNS writes.
  sns: (fields) => {
    const lines = Object.entries(fields).map((pair) => pair.map((part) => JSON.stringify(part)).join(" : "));
    return `{\n  ${lines.join(",\n  ")}\n}`;
  },
  indented: (fields) => JSON.stringify(fields, null, 3),
  shuffled: (fields, random) => JSON.stringify(Object.fromEntries(shuffled(Object.entries(fields), random))),
  surrounded: (fields, random) => {
    const space = () => pickFrom(["", " ", "\n", "\r\n", "\t", "  \n"], random);
    return space() + JSON.stringify(fields) + space();
  },
  escaped: (fields) => {
    const pairs = Object.entries(fields).map(([name, value]) => {
      const isShort = typeof value === "string" && value.length < 500;
      return `${escaped(name)}:${isShort ? escaped(value) : JSON.stringify(value)}`;
    });
    return `{${pairs.join(",")}}`;
  },
  "slashes escaped": (fields) => JSON.stringify(fields).replaceAll("/", "\\/"),
};

function escaped(text: string): string {
  const units = Array.from({ length: text.length }, (_, place) => text.charCodeAt(place));
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("")}"`;
}

function shuffled<Item>(items: readonly Item[], random: Random): Item[] {
  const keyed = items.map((item) => ({ item, key: random.next() }));
  return keyed.sort((one, other) => one.key - other.key).map(({ item }) => item);
}

type MutateText = (text: string, random: Random) => readonly [string | Buffer, Effect];

const names = ["Message", "MessageId", "TopicArn", "Type", "Signature", "Timestamp", "UnsubscribeURL"];

/** The text of a field that an envelope has already. */
function repeatedField(text: string, random: Random): string {
  const name = pickFrom(
    names.filter((one) => text.includes(`"${one}"`)),
    random,
  );
  const key =
    random.below(2) === 0
      ? JSON.stringify(name)
      : `"\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}"`;
  return `${key}:${pickFrom(['"other"', "null", "{}", '"Notification"', "1"], random)}`;
}

export const textMutations: Mutations<MutateText> = {
  "a field given twice, first": (text, random) => {
    const field = names.some((name) => text.includes(`"${name}"`))
      ? repeatedField(text, random)
      : '"a":1,"a":2';
    return [text.replace("{", () => `{${field},`), "fatal"];
  },
  "a field given twice, last": (text, random) => {
    const field = names.some((name) => text.includes(`"${name}"`))
      ? repeatedField(text, random)
      : '"a":1,"a":2';
    return [text.replace(/\}\s*$/, () => `,${field}}`), "fatal"];
  },
  "a field given twice, deep inside": (text) => [
    text.replace("{", () => '{"More":[{"a":1,"\\u0061":2}],'),
    "fatal",
  ],
  "cut off": (text, random) => [text.trimEnd().slice(0, random.below(text.trimEnd().length)), "fatal"],
  "with more behind": (text, random) => [
    text + pickFrom(["x", "{}", ",", "]", "}", "\u0000", text], random),
    "fatal",
  ],
  "with more before": (text, random) => [
    pickFrom(["x", "[", "\ufeff", ")]}'\n", "\u0000", "//\n"], random) + text,
    "fatal",
  ],
  "in another value": (text, random) => [
    pickFrom([`[${text}]`, JSON.stringify(text), `{"Message":${text}}`, `{"":${text}}`], random),
    "fatal",
  ],
  "no JSON": (_text, random) => [
    pickFrom(
      ["", " ", "null", "1e999", "NaN", "{}", "[]", '"', "{", "hello", "Type=Notification", "<xml/>"],
      random,
    ),
    "fatal",
  ],
  "nested deeply": (text, random) => {
    const levels = pickFrom([50, 5_000, 100_000], random);
    const [open, close] = pickFrom(
      [
        ["[", "]"],
        ['{"a":', "}"],
      ] as const,
      random,
    );
    const deep = `${open.repeat(levels)}1${close.repeat(levels)}`;
    return [text.replace("{", () => `{"More":${deep},`), "open"];
  },
  "a character other": (text, random) => {
    const place = random.below(text.length);
    const by = pickFrom(["", "x", '"', "\\", "\n", "\u2028", "}", ",", "0", "'"], random);
    return [text.slice(0, place) + by + text.slice(place + 1), "open"];
  },
  "a raw control character": (text, random) => {
    const place = text.indexOf('"') + 1;
    return [
      text.slice(0, place) + pickFrom(["\n", "\t", "\u0000", "\u001f"], random) + text.slice(place),
      "fatal",
    ];
  },
  "bytes that are not UTF-8": (text, random) => {
    const bytes = Buffer.from(text);
    const odd = pickFrom([[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf8], [0xe2, 0x82], [0x80]], random);
    const place = random.below(bytes.length);
    return [Buffer.concat([bytes.subarray(0, place), Buffer.from(odd), bytes.subarray(place)]), "fatal"];
  },
  "a bit other": (text, random) => {
    const bytes = Buffer.from(text);
    const place = random.below(bytes.length);
    bytes.writeUInt8((bytes[place] ?? 0) ^ (1 << random.below(8)), place);
    return [bytes, "open"];
  },
  "UTF-16": (text) => [Buffer.from(text, "utf16le"), "fatal"],
  compressed: (text) => [gzipSync(text), "fatal"],
};

/** Rare, because they cost as much as hundreds of others. */
export const sizeMutations: Mutations<MutateText> = {
  "just small enough": (text) => [text + " ".repeat(1024 * 1024 - Buffer.byteLength(text)), "harmless"],
  "a byte too large": (text) => [text + " ".repeat(1024 * 1024 + 1 - Buffer.byteLength(text)), "fatal"],
  "far too large": (text) => [text + " ".repeat(3 * 1024 * 1024), "fatal"],
};
