const reserved =
  /^(webhook-|content-|x-fanmail-|proxy-|sec-)|^(host|user-agent|x-rqe-signature|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|accept-encoding|http2-settings)$/;

/** @param name in lower case. */
export function isReservedHeader(name: string): boolean {
  return reserved.test(name);
}

/** `token` of RFC 9110, section 5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** A field value of RFC 9110, section 5.5, in ASCII: receivers decode other characters differently. */
const fieldValue = /^[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?$/;

const maxHeaders = 20;
export const maxHeaderNameLength = 100;
export const maxHeaderValueLength = 4_096;

/** What responses show in place of a value. */
export const hiddenValue = "[hidden]";

/**
 * Checks the headers that an endpoint's webhooks are to be sent with.
 * @returns the headers with lower-cased names, or the problem, as a text that follows the field's name.
 */
export function readEndpointHeaders(
  given: Readonly<Record<string, string>>,
): { headers: Record<string, string> } | { problem: string } {
  const entries = Object.entries(given).map(([name, value]) => [name.toLowerCase(), value] as const);
  if (entries.length > maxHeaders) return { problem: `must hold at most ${maxHeaders} headers` };
  const headers = new Map(entries);
  if (headers.size < entries.length) return { problem: "must hold each header once, whatever its capitals" };
  for (const [name, value] of entries) {
    const problem = problemOf(name, value);
    if (problem !== null) return { problem };
  }
  return { headers: Object.fromEntries(headers) };
}

function problemOf(name: string, value: string): string | null {
  if (name.length > maxHeaderNameLength || !token.test(name)) {
    return `must have names of at most ${maxHeaderNameLength} letters, digits and -, as HTTP has them`;
  }
  if (isReservedHeader(name)) return `must not set ${name}, which is reserved`;
  if (value.length > maxHeaderValueLength || !fieldValue.test(value)) {
    return `must have values of 1 to ${maxHeaderValueLength} printable ASCII characters; that of ${name} is not`;
  }
  if (value === hiddenValue)
    return `must have the value of ${name} itself, not what answers show in its place`;
  return null;
}
