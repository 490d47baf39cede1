/** Parses JSON; null if the text is not JSON. The parser's own error would quote the text, which may hold addresses. */
export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Whether a value of JSON is an object rather than a list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Parses JSON into values that Postgres can store. It cannot store NUL or half a surrogate pair, both of which JSON
 * can escape; they are replaced.
 * @returns undefined if the text is not JSON.
 */
export function storableJson(source: string): unknown {
  try {
    const text = source.isWellFormed() ? source : source.toWellFormed();
    // Most texts have no such escape at all, and looking for one is much cheaper than the pattern.
    const mayHoldUnstorable = text.includes("\\u") && /\\u(0000|d[89a-f])/i.test(text);
    return mayHoldUnstorable ? JSON.parse(text, storable) : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function storable(_key: string, value: unknown): unknown {
  if (typeof value === "string") return withoutUnstorable(value);
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [withoutUnstorable(key), part]));
}

function withoutUnstorable(value: string): string {
  return value.replaceAll("\u0000", "\ufffd").toWellFormed();
}

/** JSON with sorted keys, so that equal values have equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  );
}

/**
 * Whether an object in a JSON text has a key twice. `JSON.parse` silently keeps the last one, other readers the
 * first.
 * @param value the result of `JSON.parse` for the text.
 */
export function hasRepeatedKeys(json: string, value: unknown): boolean {
  return writtenKeys(json) !== keysOf(value);
}

/** A string before a colon is a key; the text is valid JSON. */
function writtenKeys(json: string): number {
  const colon = /[ \t\n\r]*:/y;
  let keys = 0;
  for (let quote = json.indexOf('"'); quote !== -1; quote = json.indexOf('"', colon.lastIndex)) {
    const end = endOfString(json, quote);
    colon.lastIndex = end;
    if (colon.test(json)) keys++;
    else colon.lastIndex = end;
  }
  return keys;
}

/** @returns the index after the closing quote. */
function endOfString(json: string, quote: number): number {
  let end = json.indexOf('"', quote + 1);
  while (isEscaped(json, end)) end = json.indexOf('"', end + 1);
  return end + 1;
}

function isEscaped(json: string, place: number): boolean {
  let backslashes = 0;
  while (json[place - 1 - backslashes] === "\\") backslashes++;
  return backslashes % 2 === 1;
}

/** Without recursion, because a caller can nest deeper than the stack allows. */
function keysOf(value: unknown): number {
  const open = [value];
  let keys = 0;
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== "object" || next === null) continue;
    const parts: unknown[] = Object.values(next);
    if (!Array.isArray(next)) keys += parts.length;
    for (const part of parts) open.push(part);
  }
  return keys;
}
