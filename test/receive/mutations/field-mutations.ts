import type { Random } from "../../../bench/corpus/random.ts";
import type { Fields } from "../../support/sns-signer.ts";
import { type Effect, type Mutations, pickFrom } from "./mutation.ts";

/*
 * Mutations of an envelope that has been signed.
 */

/** Changes the fields in place. */
type MutateFields = (fields: Fields, random: Random) => Effect;

const lone = "\ud800";
const oddValues = [null, true, false, 0, 1, -1.5, "", " ", "\u0000", lone, [], {}, "text", "2", "1", [null]];
const unknownNames = [
  ...["More", "message", "MESSAGE", "Message ", "\u0000", "", "0", "toString", "constructor", "__proto__"],
  ...["Subject\n", "Token", "SubscribeURL", lone, "x".repeat(5_000)],
];

/** Neither signed nor read. */
const isUnread = (name: string) => name === "UnsubscribeURL";

/** A certificate's name can be changed so that it is a name that AWS may have. */
function effectOn(name: string): Effect {
  if (isUnread(name)) return "harmless";
  return name === "SigningCertURL" ? "unverified" : "fatal";
}

function pickName(fields: Fields, random: Random): string {
  return pickFrom(Object.keys(fields), random);
}

/** Also a field `__proto__`, as JSON.parse sets it. */
function set(fields: object, name: string, value: unknown): void {
  Object.defineProperty(fields, name, { value, configurable: true, enumerable: true, writable: true });
}

function nested(value: unknown, levels: number): unknown {
  return levels === 0 ? value : { in: [nested(value, levels - 1)] };
}

export const fieldMutations: Mutations<MutateFields> = {
  removed(fields, random) {
    const name = pickName(fields, random);
    delete fields[name];
    return effectOn(name) === "harmless" ? "harmless" : "fatal";
  },
  retyped(fields, random) {
    const name = pickName(fields, random);
    const before = fields[name];
    fields[name] = pickFrom([...oddValues, [before], { inner: before }, nested(before, 900)], random);
    return fields[name] === before ? "open" : effectOn(name);
  },
  renamed(fields, random) {
    const name = pickName(fields, random);
    const value = fields[name];
    delete fields[name];
    const other = pickFrom(unknownNames, random);
    // With another Subject it may be a genuine one again.
    set(fields, other === name ? "Other" : other, value);
    return effectOn(name) === "harmless" ? "open" : "fatal";
  },
  added(fields, random) {
    const name = pickFrom(unknownNames, random);
    if (name in fields && Object.hasOwn(fields, name)) return "open";
    set(fields, name, pickFrom([...oddValues, nested("deep", 900), "more", "x".repeat(20_000)], random));
    return "harmless";
  },
  "given a Subject"(fields, random) {
    if (fields["Type"] !== "Notification" || "Subject" in fields) return "open";
    fields["Subject"] = pickFrom(["", "null", "undefined", "Amazon SES", null], random);
    return fields["Subject"] === null ? "harmless" : "fatal";
  },
  swapped(fields, random) {
    const [one, other] = [pickName(fields, random), pickName(fields, random)];
    [fields[one], fields[other]] = [fields[other], fields[one]];
    return fields[one] === fields[other] ? "open" : "fatal";
  },
  edited(fields, random) {
    const name = pickName(fields, random);
    const before = String(fields[name]);
    const [, edit] = pickFrom(Object.entries(textEdits), random);
    const after = edit(before, random.below(before.length + 1), random);
    fields[name] = after;
    // Base64 has more than one spelling of some bytes.
    if (after === before || name === "Signature") return "open";
    return effectOn(name);
  },
};

type EditText = (text: string, place: number, random: Random) => string;

const insert = (text: string, place: number, part: string) =>
  `${text.slice(0, place)}${part}${text.slice(place)}`;
const canonicalTails = [
  "\nTimestamp\n2026-11-20T12:00:00.000Z\n",
  "\nType\nNotification\n",
  "\nTopicArn\narn:aws:sns:eu-west-1:123456789012:ses-events\nType\nNotification",
  "\nSubject\nAmazon SES\n",
];
const unicode = [
  ...["\u0000", "\u0007", "\u001f", "\u007f", "\u0085", "\u200b", "\u2028", "\u202e", "\ufeff", "\ufffd"],
  ...[lone, "\udc00", "\udc00\ud800", "😀", "é", "e\u0301", "İ", "ſ", "ﬁ", "\r", "\n", "\t", " "],
];

const textEdits: Mutations<EditText> = {
  appended: (text, _place, random) => text + pickFrom(["\n", "\r\n", " ", "\n\n", "\u0000", "x"], random),
  prepended: (text, _place, random) => pickFrom(["\n", " ", "\ufeff", "x", "-"], random) + text,
  trimmed: (text) => text.trim(),
  truncated: (text, place) => text.slice(0, place),
  inserted: (text, place, random) => insert(text, place, pickFrom(unicode, random)),
  "with a canonical tail": (text, place, random) => insert(text, place, pickFrom(canonicalTails, random)),
  "other case": (text) => (text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase()),
  decomposed: (text) => text.normalize("NFKD"),
  "one character other": (text, place) =>
    text.slice(0, place) + String.fromCharCode((text.charCodeAt(place) || 64) + 1) + text.slice(place + 1),
  twice: (text) => text + text,
  huge: (text, place) => insert(text, place, "x".repeat(60_000)),
};
