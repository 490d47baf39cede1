/*
 * What is wrong with a connection URL, said without what may be a password.
 */

const encodeHint =
  "cannot be read: percent-encode special characters in user and password (# is %23, / is %2F, ? is %3F, % is %25, @ is %40, : is %3A)";

/** @returns what is wrong with a `postgres://` URL; null when it can be used. */
export function databaseUrlProblem(text: string): string | null {
  // A user before no host means a socket, or the host of PGHOST; WHATWG's URL does not know that form.
  const url = parse(text.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?]|$)/, "$1localhost"));
  if (severalHosts(text)) {
    return "names several hosts, and one is used: name the primary, or a proxy that leads to it";
  }
  if (url === null)
    return isUrl(text) ? encodeHint : "must be a URL such as postgres://user:password@host:5432/fanmail";
  if (!["postgres:", "postgresql:"].includes(url.protocol))
    return "must be a URL such as postgres://user:password@host:5432/fanmail";
  return isTorn(url) ? encodeHint : null;
}

/** @returns what is wrong with a `redis://` or `rediss://` URL; null when it can be used. */
export function redisUrlProblem(text: string): string | null {
  const url = parse(text);
  if (url === null && isUrl(text)) return encodeHint;
  if (url === null || !["redis:", "rediss:"].includes(url.protocol))
    return "must be a URL such as redis://127.0.0.1:6379";
  return isTorn(url) ? encodeHint : null;
}

function parse(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

function isUrl(text: string): boolean {
  return /^(postgres(ql)?|rediss?):\/\/./.test(text);
}

/** Whether a raw delimiter in a password has ended what should be the host, or a raw % stands before what is no code. */
function isTorn({ hash, pathname, search, username, password }: URL): boolean {
  const isSplit = hash !== "" || pathname.includes("@") || /^\?[^=]*@/.test(search);
  return isSplit || /%(?![0-9a-f]{2})/i.test(username + password);
}

function severalHosts(text: string): boolean {
  const hosts = /^\w+:\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(text)?.[1] ?? "";
  const query = /[?&]host=([^&]*)/.exec(text)?.[1] ?? "";
  return /,|%2c/i.test(hosts) || /,|%2c/i.test(query);
}
