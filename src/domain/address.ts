/**
 * An email address as it was written, and the form in which two spellings of it are the same.
 */
export type Address = {
  /** The bare address as sent, without display name. */
  asSent: string;
  /** Lower case, domain in A-label form. */
  matched: string;
  /** What stood before `<…>`, or null. */
  displayName: string | null;
};

/**
 * Reads `jane@example.com` or `Jane Doe <jane@example.com>`.
 * @returns null when there is no `@` with something on both sides.
 */
export function parseAddress(text: string): Address | null {
  const angled = /^(.*)<([^<>]+)>\s*$/s.exec(text);
  const asSent = (angled?.[2] ?? text).trim();
  const at = asSent.lastIndexOf("@");
  if (at < 1 || at === asSent.length - 1) return null;
  // A letter with an accent can be spelled as one character or as two (RFC 6532 asks for the former).
  const local = asSent.slice(0, at).normalize("NFC").toLowerCase();
  const matched = `${local}@${asciiDomain(asSent.slice(at + 1))}`;
  return { asSent, matched, displayName: unquoted(angled?.[1] ?? "") };
}

/** The part after the last `@` of a matched address. */
export function domainOf(matched: string): string {
  return matched.slice(matched.lastIndexOf("@") + 1);
}

/** The mailbox simulator of Amazon SES: mail to it is a test. */
const simulatorDomain = /(^|\.)simulator\.amazonses\.com$/;

/** Whether what is told of an address is a test. @param matched the address in the form that is matched. */
export function isTestAddress(matched: string): boolean {
  return simulatorDomain.test(domainOf(matched));
}

function asciiDomain(domain: string): string {
  const lower = domain.toLowerCase();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is "everything that is ASCII".
  if (/^[\u0000-\u007f]*$/.test(lower)) return lower;
  // What a URL would take for something else than its host is no domain.
  if (/[/\\?#@:%\s]/.test(lower) || !URL.canParse(`http://${lower}`)) return lower;
  return new URL(`http://${lower}`).hostname;
}

function unquoted(name: string): string | null {
  const bare = name
    .trim()
    .replace(/^"(.*)"$/s, "$1")
    .replaceAll(/\\(.)/gs, "$1")
    .trim();
  return bare === "" ? null : bare;
}
