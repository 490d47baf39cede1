import { isTestAddress, parseAddress } from "../../domain/address.ts";
import type { Pseudonyms } from "./pseudonym.ts";

/*
 * Addresses inside texts: sentences, headers, links. What is taken for an address is wider than what is one: to replace
 * too much costs a word, to replace too little tells of a person.
 */

/** Puts pseudonyms in place of the addresses of a text. */
export type TextReplacer = (text: string) => string;

/** A percent sign is itself escaped where a link is inside a link. */
const percent = "%(?:25)*";
/** Letters and signs of local parts, as links may spell them; all other escapes end an address. */
const localEscape = `${percent}(?:2[147ABDE]|3\\d|[46][1-9A-F]|[57][\\dA]|5[EF]|60|7E|[89A-F][\\dA-F])`;
const local = `(?:[^\\s<>()\\[\\]\\\\,;:"@?&=/%#{}|]|${localEscape}){1,320}`;
const quotedLocal = `"[^"]{1,80}"`;
const at = `@|${percent}40`;
/** Signs that end an address, and what looks like an escape, are allowed in one as well; `/@handle` is none. */
const signs = `(?:[?&=/%#{}|]|${percent}[\\dA-F]{2}){1,80}(?=(?:${at})[\\p{L}\\p{N}%-]+\\.)`;
const domain = `(?:[\\p{L}\\p{M}\\p{N}._-]|${percent}(?:2[DE]|[89A-F][\\dA-F])){1,320}|\\[[\\da-f:.]{2,60}\\]`;
const addressLike = `(?<local>${quotedLocal}|${local}|${signs})(?<at>${at})(?<domain>${domain})`;
/**
 * What is no address is skipped an escape at a time, so that `%3Djane` is not read as `3Djane`. Compiled once: classes of
 * Unicode cost a millisecond.
 */
const anyAddress = new RegExp(`${addressLike}|${percent}[\\dA-F]{2}`, "giu");
const wholeAddress = new RegExp(`^(?:${addressLike})$`, "iu");
const mayHoldAddress = new RegExp(at, "i");

/**
 * @param known addresses that the text may hold in spellings that only who knows them can recognise: with signs that
 *   end an address elsewhere, as a part of a return path (`bounce-jane=example.com@…`), or in base64.
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
    // Every other part is one that the pattern found.
    const parts = pattern === null ? [text] : text.split(pattern);
    const replaced = parts.map((part) => spellings.get(part.toLowerCase()) ?? others(part)).join("");
    // A quoted name before `<…>` is theirs too. One without quotes cannot be told from a sentence.
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
  // What looks like an escape may be a part of the address itself.
  const address =
    parseAddress(`${unescaped(bare)}@${unescaped(host)}`) ?? parseAddress(`${bare}@${unescaped(host)}`);
  if (address === null || isTestAddress(address.matched)) return found;
  const pseudonym = pseudonyms.ofAddress(address).replace("@", groups.at);
  return `${bare === groups.local ? "" : before}${pseudonym}${after}`;
}

/** Undoes the escapes of links, also of links in links. */
function unescaped(text: string): string {
  const single = text.replaceAll(/%(?:25)+/g, "%");
  try {
    return decodeURIComponent(single);
  } catch {
    return single;
  }
}

/** How known addresses may be written that are not found without knowing them, in lower case → what replaces it. */
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

/** As a part of a link: by `encodeURIComponent`, as a form does it, with every sign escaped; and once more. */
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
