import { isObject } from "../json.ts";
import type { UnnamedFields } from "./unnamed-fields.ts";

/*
 * The kinds of fields in what SES publishes. AWS may remove, add and retype fields, so reading never fails: a value of
 * the wrong type is null, and so is a list entry that cannot be read. Every notification passes through here, so
 * loops are plain and whatever can be read as a whole is kept as it is instead of copied.
 */

/**
 * How a field is read.
 * @property type where another type is kept in `more`, so that a field which AWS retypes is not lost.
 */
type Field<Value> = { read: (value: unknown) => Value | null; type?: "string" | "number" };
type Shape = Record<string, Field<unknown>>;

/** What a shape reads; a field that is absent in the payload is absent here. */
export type Fields<Of extends Shape> = {
  [Name in keyof Of]?: (Of[Name] extends Field<infer Value> ? Value : never) | null | undefined;
};
/** @property more fields that the shape does not name. */
export type NamedFields<Of extends Shape> = Fields<Of> & { more?: UnnamedFields | undefined };

/** null for an entry that cannot be read. */
type ListOf<Entry> = (Entry | null)[];
export type TextLists = Record<string, ListOf<string> | null | undefined>;

export const text: Field<string> = {
  type: "string",
  read: (value) => (typeof value === "string" ? value : null),
};
export const count: Field<number> = {
  type: "number",
  read: (value) => (Number.isFinite(value) ? Number(value) : null),
};
export const anything: Field<unknown> = { read: (value) => value };
export const texts: Field<ListOf<string>> = { read: readTexts };
/** Named lists, such as tags. */
export const textLists: Field<TextLists> = { read: readTextLists };

/** A list of recipients with what is said about each; a text in place of one is its address. */
export function recipientList<Of extends Shape>(more: Of) {
  const recipient = namedFields({ emailAddress: text, ...more });
  const readEntry = (entry: unknown) =>
    recipient.read(typeof entry === "string" ? { emailAddress: entry } : entry);
  return { read: (value: unknown) => (value === null ? null : asList(value).map(readEntry)) };
}

/** An object of which only the fields of the shape are kept. */
export function onlyFields<Of extends Shape>(shape: Of): Field<Fields<Of>> {
  const fields = Object.entries(shape);
  const read = (value: unknown) => {
    if (!isObject(value)) return null;
    const kept: Record<string, unknown> = {};
    for (const [name, field] of fields) {
      const part = value[name];
      if (part !== undefined) kept[name] = field.read(part);
    }
    // The loop follows the shape, which TypeScript cannot see.
    return kept as Fields<Of>;
  };
  return { read };
}

/**
 * An object of which all fields are kept: those of the shape, and the others in `more`.
 * @param left names of fields that are kept nowhere.
 */
export function namedFields<Of extends Shape>(
  shape: Of,
  left: readonly string[] = [],
): Field<NamedFields<Of>> {
  const fields = new Map<string, Field<unknown> | null>(Object.entries(shape));
  for (const name of left) fields.set(name, null);
  const read = (value: unknown) => {
    if (!isObject(value)) return null;
    const named: Record<string, unknown> = {};
    let more: UnnamedFields | undefined;
    for (const name in value) {
      const part = value[name];
      const field = fields.get(name);
      if (field) named[name] = field.read(part);
      if (field === undefined || isRetyped(part, field)) more = withField(more, name, part);
    }
    if (more !== undefined) named["more"] = more;
    // The loop follows the shape, which TypeScript cannot see.
    return named as NamedFields<Of>;
  };
  return { read };
}

function isRetyped(value: unknown, field: Field<unknown> | null): boolean {
  return field?.type !== undefined && value !== null && typeof value !== field.type;
}

/** Adds an unnamed field. `__proto__` is left out: set on an object, it would become what the object inherits. */
export function withField(
  more: UnnamedFields | undefined,
  name: string,
  value: unknown,
): UnnamedFields | undefined {
  if (name === "__proto__") return more;
  const fields = more ?? {};
  fields[name] = value;
  return fields;
}

/** A single value in place of a list is a list of one. */
function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}

function readTexts(value: unknown): ListOf<string> | null {
  if (value === null) return null;
  const list = asList(value);
  return isTexts(list) ? list : list.map(text.read);
}

function isTexts(list: readonly unknown[]): list is string[] {
  for (const entry of list) if (typeof entry !== "string") return false;
  return true;
}

function readTextLists(value: unknown): TextLists | null {
  if (!isObject(value)) return null;
  if (isReadable(value)) return value;
  const lists: TextLists = {};
  for (const name in value) if (name !== "__proto__") lists[name] = readTexts(value[name]);
  return lists;
}

/** Whether each list has entries that can be read, or none. */
function isReadable(lists: Record<string, unknown>): lists is Record<string, string[]> {
  for (const name in lists) {
    const list = lists[name];
    if (!Array.isArray(list) || !isTexts(list) || name === "__proto__") return false;
  }
  return true;
}

/** The readable part of named lists. */
export function readableLists(lists: TextLists | null | undefined): Record<string, string[]> | null {
  if (!lists) return null;
  if (isReadable(lists)) return lists;
  const readable: Record<string, string[]> = {};
  for (const name in lists) {
    const texts = (lists[name] ?? []).filter((entry) => entry !== null);
    if (texts.length > 0 || lists[name]?.length === 0) readable[name] = texts;
  }
  return readable;
}

/** The number of list entries that cannot be read, in lists that are fields of an object. */
export function unreadableIn(lists: Readonly<Record<string, unknown>> | null | undefined): number {
  let unreadable = 0;
  for (const name in lists) {
    const list = lists[name];
    if (!Array.isArray(list)) continue;
    for (const entry of list) if (entry === null) unreadable++;
  }
  return unreadable;
}
