import { parseUrl } from "../url.ts";

export const maxUrlLength = 2_048;
const lowPorts = ["443", "80"];
const firstFreePort = 1_024;
const notAUrl = { problem: "must be an https URL such as https://example.com/webhooks" };

/**
 * Checks the form of an endpoint's URL. The address guard decides whether its address may be posted to.
 * @returns the URL in normal form, so that what is checked is what is used: a host such as `0x7f.1` becomes the address
 * that it stands for. Or the problem, as a text that follows the field's name.
 */
export function readEndpointUrl(text: string): { url: string } | { problem: string } {
  if (text.length > maxUrlLength) return { problem: `is longer than ${maxUrlLength} characters` };
  // Parsers disagree about these: some drop them, some replace them.
  if (/[\s\\\p{Cc}]/u.test(text)) {
    return { problem: "must not hold spaces, line breaks, control characters or backslashes" };
  }
  const url = parseUrl(text);
  if (url === null) return notAUrl;
  if (url.protocol !== "https:" && url.protocol !== "http:") return notAUrl;
  if (url.username !== "" || url.password !== "") {
    return { problem: "must not hold a user name or password" };
  }
  if (!isAllowedPort(url.port)) {
    return { problem: `must use port 443, 80, 8443, 8080 or one from ${firstFreePort} on` };
  }
  if (url.href.length > maxUrlLength) {
    return { problem: `is longer than ${maxUrlLength} characters in its normal form` };
  }
  return { url: url.href };
}

/** The normal form leaves out the default port of the protocol. */
function isAllowedPort(port: string): boolean {
  return port === "" || lowPorts.includes(port) || Number(port) >= firstFreePort;
}
