/**
 * Whether an object in a JSON text names a key twice. `JSON.parse` keeps the last of them without a word, and other
 * readers keep the first.
 * @param value what `JSON.parse` made of the text.
 */
export function hasRepeatedKeys(json: string, value: unknown): boolean {
  return writtenKeys(json) !== keysOf(value);
}

/** A colon behind a string makes it a key; the text is JSON. */
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

/** @returns the place after the closing quote. */
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

/** Without recursion, because anybody can nest deeper than the stack is. */
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
