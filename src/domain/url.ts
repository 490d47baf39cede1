/**
 * Reads an absolute URL.
 * `URL.canParse` has no part in it: after some thousand calls that of Node 20 and 22 takes a host with a letter such as `ü` for
 * invalid, because its fast path reads Latin-1 as UTF-8.
 * @returns null if it is not one.
 */
export function parseUrl(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

export function isHttpUrl(text: string): boolean {
  return /^https?:$/.test(parseUrl(text)?.protocol ?? "");
}
