import { ApiError } from "./errors.ts";

export type Query = Record<string, string | string[]>;

/**
 * Reads what stands behind the `?` of a URL; of a parameter that is given several times it has all values.
 * @throws ApiError 400 that names the parameter that is not URL-encoded: it may be the filter that matters.
 */
export function readQuery(url: string): Query {
  const [, text = ""] = /\?([^#]*)/.exec(url) ?? [];
  const parts = text.split("&").filter((part) => part !== "");
  return collect(parts.map(readPart));
}

/** Adds parameters; those that are there already are then given twice. */
export function addToQuery(query: Query, more: readonly (readonly [string, string])[]): Query {
  const given = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().map((one) => [name, one] as const),
  );
  return collect([...given, ...more]);
}

function readPart(part: string): readonly [string, string] {
  const equals = part.indexOf("=");
  const name = decoded(equals < 0 ? part : part.slice(0, equals));
  const value = decoded(equals < 0 ? "" : part.slice(equals + 1));
  if (name === null || value === null) {
    throw new ApiError(400, `${name ?? "The query"} is not URL-encoded UTF-8; write %25 for a percent sign`);
  }
  return [name, value];
}

/** @returns null where a `%` is not followed by two digits, and where bytes are no UTF-8. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return null;
  }
}

function collect(pairs: readonly (readonly [string, string])[]): Query {
  const values = new Map<string, string[]>();
  for (const [name, value] of pairs) values.set(name, [...(values.get(name) ?? []), value]);
  return Object.fromEntries(
    [...values].map(([name, [first = "", ...more]]) => [name, more.length ? [first, ...more] : first]),
  );
}
