import { createHmac } from "node:crypto";
import { type Address, domainOf, isTestAddress, parseAddress } from "../../domain/address.ts";

/** Replacements for personal data. With the same secret, equal values get equal pseudonyms. */
export type Pseudonyms = {
  /** Different for different matched addresses; addresses of one domain keep a common domain. */
  ofAddress(address: Pick<Address, "matched">): string;
  ofIp(ip: string): string;
  ofSubject(subject: string): string;
};

/** Reserved (RFC 2606): no such address exists, so no mail can reach anybody. */
const reservedDomain = "example.com";

/** Providers with millions of users do not identify a person, and say much about how mail behaves. */
const providers: ReadonlyMap<string, string> = new Map([
  ["gmail.com", "gmail"],
  ["googlemail.com", "gmail"],
  ["outlook.com", "outlook"],
  ["hotmail.com", "outlook"],
  ["live.com", "outlook"],
  ["msn.com", "outlook"],
  ["yahoo.com", "yahoo"],
  ["icloud.com", "icloud"],
  ["me.com", "icloud"],
  ["aol.com", "aol"],
  ["gmx.de", "gmx"],
  ["gmx.net", "gmx"],
  ["web.de", "web-de"],
  ["proton.me", "proton"],
]);

/** @param secret the HMAC key: without it nobody can guess addresses and compare pseudonyms. */
export function pseudonymsOf(secret: string | Uint8Array): Pseudonyms {
  const hash = (kind: string, value: string) =>
    createHmac("sha256", secret).update(`${kind}\n${value}`).digest("hex");
  const ofDomain = (domain: string) =>
    `${providers.get(domain) ?? `domain-${hash("domain", domain).slice(0, 8)}`}.${reservedDomain}`;
  return {
    // 48 bits: a collision among a million people is unlikely.
    ofAddress: ({ matched }) =>
      `person-${hash("address", matched).slice(0, 12)}@${ofDomain(domainOf(matched))}`,
    ofIp: (ip) => ipOf(hash("ip", ip.toLowerCase()), ip.includes(":")),
    ofSubject: (subject) => `Subject ${hash("subject", subject).slice(0, 8)}`,
  };
}

/** From networks that nobody uses: 198.18.0.0/15 (RFC 2544) and 2001:db8::/32 (RFC 3849). */
function ipOf(hash: string, isVersion6: boolean): string {
  if (isVersion6) return `2001:db8::${hash.slice(0, 16).replaceAll(/(.{4})(?=.)/g, "$1:")}`;
  const bits = Number.parseInt(hash.slice(0, 8), 16);
  return `198.${18 + (bits & 1)}.${(bits >> 8) & 255}.${(bits >> 16) & 255}`;
}

/*
 * Addresses inside texts: sentences, headers, links. The pattern matches more than valid addresses: replacing too much
 * costs a word, replacing too little reveals a person.
 */

/** Replaces the addresses in a text by pseudonyms. */
export type TextReplacer = (text: string) => string;

/** In a link inside a link, the percent sign is escaped too. */
const percent = "%(?:25)*";
/** Letters and symbols of local parts as escaped in links; all other escapes end an address. */
const localEscape = `${percent}(?:2[147ABDE]|3\\d|[46][1-9A-F]|[57][\\dA]|5[EF]|60|7E|[89A-F][\\dA-F])`;
const local = `(?:[^\\s<>()\\[\\]\\\\,;:"@?&=/%#{}|]|${localEscape}){1,320}`;
const quotedLocal = `"[^"]{1,80}"`;
const at = `@|${percent}40`;
/** Symbols that usually end an address, and what looks like an escape, may also be part of one; `/@handle` is not one. */
const signs = `(?:[?&=/%#{}|]|${percent}[\\dA-F]{2}){1,80}(?=(?:${at})[\\p{L}\\p{N}%-]+\\.)`;
const domain = `(?:[\\p{L}\\p{M}\\p{N}._-]|${percent}(?:2[DE]|[89A-F][\\dA-F])){1,320}|\\[[\\da-f:.]{2,60}\\]`;
const addressLike = `(?<local>${quotedLocal}|${local}|${signs})(?<at>${at})(?<domain>${domain})`;
/**
 * Text that is not an address is skipped one escape at a time, so that `%3Djane` is not read as `3Djane`. Compiled once:
 * Unicode classes cost a millisecond.
 */
const anyAddress = new RegExp(`${addressLike}|${percent}[\\dA-F]{2}`, "giu");
const wholeAddress = new RegExp(`^(?:${addressLike})$`, "iu");
const mayHoldAddress = new RegExp(at, "i");

/**
 * @param known addresses that the text may contain in spellings that no pattern can find: with symbols that usually end
 *   an address, as part of a return path (`bounce-jane=example.com@…`), or in base64.
 */
export function textReplacer(pseudonyms: Pseudonyms, known: readonly string[]): TextReplacer {
  const spellings = spellingsOf(known, pseudonyms);
  const listed = [...spellings.keys()].sort((one, other) => other.length - one.length).map(literal);
  const pattern = listed.length > 0 ? new RegExp(`(${listed.join("|")})`, "iu") : null;
  const others = (text: string) =>
    mayHoldAddress.test(text)
      ? text.replace(anyAddress, (...match) => replacedAddress(match[0], match.at(-1), pseudonyms))
      : text;
  return (text) => {
    // Every second part is a match of the pattern.
    const parts = pattern === null ? [text] : text.split(pattern);
    const replaced = parts.map((part) => spellings.get(part.toLowerCase()) ?? others(part)).join("");
    // A quoted name before `<…>` is personal too. Without quotes it looks like part of a sentence.
    return replaced.replaceAll(/"[^"<>]{0,320}"\s*(?=<person-[\da-f]{12}@)/g, "");
  };
}

type Groups = {
  local?: string | undefined;
  at?: string | undefined;
  domain?: string | undefined;
};

function replacedAddress(found: string, groups: Groups, pseudonyms: Pseudonyms): string {
  if (groups.local === undefined || groups.at === undefined || groups.domain === undefined) return found;
  const [before = ""] = /^['*_~.]*/.exec(groups.local) ?? [];
  const bare = groups.local.slice(before.length) || groups.local;
  const after = /[.-]*$/.exec(groups.domain)?.[0] ?? "";
  const host = groups.domain.slice(0, groups.domain.length - after.length);
  // What looks like an escape may belong to the address itself.
  const address =
    parseAddress(`${unescaped(bare)}@${unescaped(host)}`) ?? parseAddress(`${bare}@${unescaped(host)}`);
  if (address === null || isTestAddress(address.matched)) return found;
  const pseudonym = pseudonyms.ofAddress(address).replace("@", groups.at);
  return `${bare === groups.local ? "" : before}${pseudonym}${after}`;
}

/** Decodes URL escapes, including nested ones. */
function unescaped(text: string): string {
  const single = text.replaceAll(/%(?:25)+/g, "%");
  try {
    return decodeURIComponent(single);
  } catch {
    return single;
  }
}

/** Spellings of known addresses that the pattern does not find, in lower case → their replacements. */
function spellingsOf(known: readonly string[], pseudonyms: Pseudonyms): Map<string, string> {
  const spellings = new Map<string, string>();
  for (const asSent of known) {
    const address = parseAddress(asSent);
    if (address === null || isTestAddress(address.matched)) continue;
    const pseudonym = pseudonyms.ofAddress(address);
    const note = (spelling: string, replacement: string) =>
      spellings.set(spelling.toLowerCase(), replacement);
    for (const spelled of new Set([asSent, asSent.toLowerCase(), address.matched])) {
      for (const encoding of ["base64", "base64url"] as const)
        note(unpadded(spelled, encoding), unpadded(pseudonym, encoding));
      const apart = spelled.lastIndexOf("@");
      note(`${spelled.slice(0, apart)}=${spelled.slice(apart + 1)}`, pseudonym.replace("@", "="));
      if (wholeAddress.test(spelled)) continue;
      note(spelled, pseudonym);
      for (const escaped of escapedForms(spelled)) note(escaped, encodeURIComponent(pseudonym));
    }
  }
  return spellings;
}

function unpadded(text: string, encoding: "base64" | "base64url"): string {
  return Buffer.from(text).toString(encoding).replace(/=+$/, "");
}

/** As part of a link: by `encodeURIComponent`, with every symbol escaped, as in a form; and each escaped twice. */
function escapedForms(address: string): string[] {
  const component = encodeURIComponent(address.toWellFormed());
  const strict = component.replaceAll(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  const once = [component, strict, strict.replaceAll("%20", "+").replaceAll("~", "%7E")];
  return [...once, ...once.map(encodeURIComponent)];
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
