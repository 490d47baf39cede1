import { parseUrl } from "./url.ts";

/** An email address as it was written, and the form in which all spellings of a mailbox are the same. */
export type Address = {
  /** The bare address as sent, without display name and comments. */
  asSent: string;
  /** In lower case, without unnecessary quotes, with the domain as A-labels. */
  matched: string;
  /** The text before `<…>`, or null. */
  displayName: string | null;
};

/** A longer text is no list of addresses, and would take long to read. */
const maxListLength = 5_000;
/** SMTP allows 254 characters (RFC 5321), the API 320. */
const maxLength = 320;
/** Nearly all addresses; nothing has to be removed from them. */
const plain = /^[a-z0-9._+-]{1,64}@[a-z0-9-][a-z0-9.-]{0,250}[a-z0-9]$/i;

/** Nearly all others: nothing but a name and such an address, which is as long as it looks. */
const plainNamed = /^([^"\\<>()@,;:\r\n]*)<([a-z0-9._+-]{1,64}@[a-z0-9-][a-z0-9.-]{0,250}[a-z0-9])>$/i;

/**
 * Reads one address, such as `jane@example.com` or `Jane Doe <jane@example.com>`, in all the forms that
 * `parseAddresses` reads.
 * @returns null if the text holds no address, or several.
 */
export function parseAddress(text: string): Address | null {
  const [first, ...others] = parseAddresses(text);
  return first !== undefined && others.length === 0 ? first : null;
}

/**
 * Reads a list of addresses (RFC 5322), separated by commas or semicolons. Removes quotes, brackets, comments,
 * prefixes (`mailto:`, `rfc822;`), source routes and final dots around each. Leaves out entries without an `@`
 * between two parts.
 */
export function parseAddresses(text: string): Address[] {
  if (plain.test(text)) return [{ asSent: text, matched: text.toLowerCase(), displayName: null }];
  if (text.length > maxListLength) return [];
  const [, name, address] = plainNamed.exec(text) ?? [];
  if (name !== undefined && address !== undefined)
    return [{ asSent: address, matched: address.toLowerCase(), displayName: name.trim() || null }];
  const bare = withoutComments(text);
  const whole = named(bare);
  if (whole !== null) return [whole];
  return listed(bare).flatMap((part) => named(part) ?? readMailbox(part, null) ?? []);
}

/** The part after the last `@` of a matched address. */
export function domainOf(matched: string): string {
  return matched.slice(matched.lastIndexOf("@") + 1);
}

/** The mailbox simulator of Amazon SES: mail to it is a test. */
const simulatorDomain = /(^|\.)simulator\.amazonses\.com$/;

/**
 * Whether events of an address are tests.
 * @param matched the address in the form that is matched.
 */
export function isTestAddress(matched: string): boolean {
  return simulatorDomain.test(domainOf(matched));
}

const quoted = /"(?:[^"\\]|\\.)*"/gs;
const quotedOrComment = /("(?:[^"\\]|\\.)*")|\((?:[^()\\]|\\.)*\)/gs;

/** Comments can be nested, and the last one can be cut off. */
function withoutComments(text: string): string {
  let bare = text;
  for (let depth = 0; depth < 5 && bare.includes("("); depth++)
    bare = bare.replace(quotedOrComment, (_, kept: string | undefined) => kept ?? "");
  const open = masked(bare).indexOf("(");
  return open > 0 ? bare.slice(0, open) : bare;
}

/** The text with each quoted string overwritten, so that offsets stay the same. */
function masked(text: string): string {
  return text.replace(quoted, (string) => "q".repeat(string.length));
}

/** Splits at commas and semicolons outside quotes and `<…>`. */
function listed(text: string): string[] {
  const mask = masked(text).replace(/<[^<>]*>/g, (angled) => "a".repeat(angled.length));
  const ends = [...mask.matchAll(/[,;]/g)].map(({ index }) => index);
  return [...ends, text.length].map((end, place) => text.slice((ends[place - 1] ?? -1) + 1, end));
}

/** `Name <address>`; the closing bracket may be missing. A name that holds addresses is a list. */
function named(text: string): Address | null {
  const mask = masked(text);
  const open = mask.lastIndexOf("<");
  if (open === -1 || /@.*[,;]/s.test(mask.slice(0, open))) return null;
  const close = mask.indexOf(">", open);
  const isLast = close === -1 || /^[\s>'"]*$/.test(mask.slice(close + 1));
  if (!isLast) return null;
  return readMailbox(text.slice(open + 1, close === -1 ? undefined : close), unquoted(text.slice(0, open)));
}

/** Names of groups and protocols, and source routes (`@one.example,@two.example:`). */
const prefix = /^(?:@[^@:]*(?:,\s*@[^@:,]*)*:|[^@"]*:)\s*/;

function readMailbox(text: string, displayName: string | null): Address | null {
  // Some servers fold long lines anywhere.
  const spec = text.replaceAll(/\r?\n[ \t]*/g, "").trim();
  const spelled = unwrapped(
    /^mailto:/i.test(spec) ? spec.slice(7).replace(/\?.*/s, "") : spec.replace(prefix, ""),
  );
  const at = masked(spelled).lastIndexOf("@");
  if (at < 1 || spelled.length > maxLength) return null;
  const local = spelled
    .slice(0, at)
    .trim()
    .replaceAll(/\s*\.\s*/g, ".");
  const domain = spelled
    .slice(at + 1)
    .trim()
    .replaceAll(/\s*\.\s*/g, ".")
    .replace(/\.+$/, "");
  const plainLocal = canonicalLocal(local);
  if (plainLocal === null || !isDomain(domain)) return null;
  return { asSent: `${local}@${domain}`, matched: `${plainLocal}@${asciiDomain(domain)}`, displayName };
}

/** Removes quotes and brackets around a whole address, also if one half of a pair was cut off. */
function unwrapped(text: string): string {
  const inner = text.replace(/^[<\s]+/, "").replace(/[>.:!\s]+$/, "");
  const mask = masked(inner);
  if (mask.includes('"')) return inner.replaceAll('"', "").trim();
  const isWrapped = mask.includes("@") ? /^['`“‘[].*['`”’\]]$/s.test(inner) : inner.startsWith('"');
  return isWrapped ? inner.slice(1, -1).trim() : inner;
}

/** One form for `jo.`, `"jo."` and `"\j\o."`; quotes stay if the local part needs them. */
function canonicalLocal(local: string): string | null {
  const isPlain = !local.includes('"');
  if (isPlain && /[\s<>(),;:[\]]/.test(local)) return null;
  const bare = local.replace(quoted, (string) => string.slice(1, -1).replaceAll(/\\(.)/gs, "$1"));
  // An accented letter can be one character or two (RFC 6532 asks for one).
  const lower = bare.normalize("NFC").toLowerCase();
  if (bare === "" || (!isPlain && /"/.test(masked(local)))) return null;
  return /[\s"(),:;<>@[\]\\]/.test(lower) ? `"${lower.replaceAll(/["\\]/g, "\\$&")}"` : lower;
}

/** Whether SES could send to it; an address literal (`[192.0.2.1]`) counts. */
function isDomain(domain: string): boolean {
  return /^\[[^\s[\]]+\]$/.test(domain) || /^[^\s<>()[\],;"'@.][^\s<>()[\],;"'@]*$/.test(domain);
}

function asciiDomain(domain: string): string {
  const lower = domain.toLowerCase();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is "everything that is ASCII".
  if (/^[\u0000-\u007f]*$/.test(lower)) return lower;
  // A text with characters that end the host of a URL is no domain.
  const url = /[/\\?#@:%\s]/.test(lower) ? null : parseUrl(`http://${lower}`);
  return url === null ? lower : url.hostname.replace(/\.+$/, "");
}

function unquoted(name: string): string | null {
  const bare = name
    .replaceAll(/\r?\n(?=[ \t])/g, "")
    .replace(/<+$/, "")
    .trim()
    .replace(/^"(.*)"$/s, "$1")
    .replaceAll(/\\(.)/gs, "$1")
    .trim();
  return bare === "" ? null : bare;
}
