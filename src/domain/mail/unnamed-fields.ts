import { canonicalJson } from "../json.ts";

/*
 * Fields of SES that have no name here. They are stored with the event, so that a field which AWS adds is not lost,
 * and limited in size, because nothing guarantees it.
 */

/** Field → value. Fields of the mail are named `mail.<name>`. */
export type UnnamedFields = Record<string, unknown>;

const maxFields = 20;
const maxNameLength = 100;
/** Characters of a value as JSON. */
const maxValueLength = 1_000;
const maxDepth = 5;
/** Marks the end of a cut value; as a field it says that others were left out. */
const cut = "…";

/**
 * Limits fields: the first 20 by name are kept. A value that is longer than 1,000 characters as JSON, or nested more
 * than 5 deep, becomes text that ends in `…`; a field `…` says that others were left out.
 * @returns null if there are none.
 */
export function boundedFields(fields: UnnamedFields): UnnamedFields | null {
  const bounded: [string, unknown][] = [];
  for (const name in fields) {
    const value = fields[name];
    if (value === null || value === undefined) continue;
    bounded.push(name.length > maxNameLength ? [cut, true] : [name, boundedValue(value)]);
  }
  return firstFields(bounded);
}

/** Merges the fields of two reports of one event. The order of the reports does not matter. */
export function unitedFields(one: UnnamedFields, other: UnnamedFields): UnnamedFields {
  const united = new Map(Object.entries(one));
  for (const [name, value] of Object.entries(other)) {
    if (isGreater(value, united.get(name))) united.set(name, value);
  }
  return firstFields([...united]) ?? {};
}

/** Of two different values the one with the greater text stands, in whatever order they came. */
export function isGreater(value: unknown, than: unknown): boolean {
  return than === undefined || canonicalJson(value) > canonicalJson(than);
}

function firstFields(entries: (readonly [string, unknown])[]): UnnamedFields | null {
  if (entries.length === 0) return null;
  const named = entries.filter(([name]) => name !== cut).toSorted(([one], [other]) => (one < other ? -1 : 1));
  const isComplete = named.length === entries.length && named.length <= maxFields;
  const kept = isComplete ? named : [...named.slice(0, maxFields), [cut, true] as const];
  return Object.fromEntries(kept);
}

function boundedValue(value: unknown): unknown {
  if (isShort(value)) return value;
  const shallow = withoutDepth(value, maxDepth);
  const json = canonicalJson(shallow);
  if (json.length <= maxValueLength) return shallow;
  const text = typeof shallow === "string" ? shallow : json;
  return `${text.slice(0, maxValueLength).toWellFormed()}${cut}`;
}

/** Whether a value is short enough however JSON escapes it: a character becomes six at most. */
function isShort(value: unknown): boolean {
  return typeof value === "string" ? value.length * 6 + 2 <= maxValueLength : typeof value !== "object";
}

function withoutDepth(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return cut;
  if (Array.isArray(value)) return value.map((part) => withoutDepth(part, depth - 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, withoutDepth(part, depth - 1)]),
  );
}
