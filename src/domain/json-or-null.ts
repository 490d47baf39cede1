/** Reads JSON; null for what is none. Unlike the parser's own error it says nothing of the text, which may hold addresses. */
export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Reads JSON as values that Postgres can store: it has no place for NUL and for half a surrogate pair, both of
 * which JSON can spell.
 * @returns undefined when it is not JSON.
 */
export function storableJson(source: string): unknown {
  try {
    const mayHoldUnstorable = /\\u(0000|d[89a-f])/i.test(source);
    return JSON.parse(source.toWellFormed(), mayHoldUnstorable ? storable : undefined);
  } catch {
    return undefined;
  }
}

function storable(_key: string, value: unknown): unknown {
  if (typeof value === "string") return storableText(value);
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [storableText(key), part]));
}

function storableText(value: string): string {
  return value.replaceAll("\u0000", "\ufffd").toWellFormed();
}
