/** Reads JSON; null for what is none. Unlike the parser's own error it says nothing of the text, which may hold addresses. */
export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
