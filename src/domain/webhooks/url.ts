const maxLength = 2_048;
const lowPorts = ["443", "80"];
const firstFreePort = 1_024;
const notAUrl = { problem: "must be an https URL such as https://example.com/webhooks" };

/**
 * Checks the form of an endpoint's URL. Whether its address may be posted to, and with plain http, is for the address guard
 * to say.
 * @returns the URL in its normal form, in which a host that is a number in disguise is an address: what is checked is what
 * is used. Or what is wrong: a text that follows the name of the field.
 */
export function readEndpointUrl(text: string): { url: string } | { problem: string } {
  if (text.length > maxLength) return { problem: `is longer than ${maxLength} characters` };
  // Parsers drop these, or take them for others, each in its own way.
  if (/[\s\\\p{Cc}]/u.test(text)) {
    return { problem: "must not hold spaces, line breaks, control characters or backslashes" };
  }
  if (!URL.canParse(text)) return notAUrl;
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return notAUrl;
  if (url.username !== "" || url.password !== "") {
    return { problem: "must not hold a user name or password" };
  }
  if (!isAllowedPort(url.port)) {
    return { problem: `must use port 443, 80, 8443, 8080 or one from ${firstFreePort} on` };
  }
  if (url.href.length > maxLength) {
    return { problem: `is longer than ${maxLength} characters in its normal form` };
  }
  return { url: url.href };
}

/** The normal form has no port where it is the one of the protocol. */
function isAllowedPort(port: string): boolean {
  return port === "" || lowPorts.includes(port) || Number(port) >= firstFreePort;
}
