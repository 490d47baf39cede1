const word = /=\?([^?\s]+)\?([bq])\?([^?\s]*)\?=/gi;
/** White space between two encoded words only breaks long lines. */
const betweenWords = /(\?=)\s+(?==\?[^?\s]+\?[bq]\?)/gi;
/** Adjacent words of the same charset and encoding: some senders split a character between two of them. */
const neighbours = /=\?([^?\s]+)\?([bq])\?[^?\s]*\?=(?:=\?\1\?\2\?[^?\s]*\?=)*/gi;

/**
 * Decodes the encoded words (RFC 2047) of a header, such as `=?utf-8?q?J=C3=BCrgen?=`, and unfolds it.
 * @param onBadBytes for a word with bytes that its charset does not have: keep the word as it is, or replace the
 *   bytes.
 * @returns the text; a word that cannot be decoded stays as it is.
 */
export function decodedWords(value: string, onBadBytes: "keep" | "replace" = "keep"): string {
  if (!value.includes("=?")) return unfolded(value);
  const joined = unfolded(value).replaceAll(betweenWords, "$1");
  return joined.replaceAll(
    neighbours,
    (words) =>
      decodedRun(words, onBadBytes) ?? words.replaceAll(word, (one) => decodedRun(one, onBadBytes) ?? one),
  );
}

/** Header lines are folded before white space, which is kept. */
function unfolded(value: string): string {
  if (!value.includes("\n")) return value;
  return value.replaceAll(/\r?\n(?=[ \t])/g, "");
}

/** @param words of the same charset and encoding. */
function decodedRun(words: string, onBadBytes: "keep" | "replace"): string | null {
  const parts = [...words.matchAll(word)];
  const bytes = parts.map(([, , encoding = "", text = ""]) => bytesOf(encoding, text));
  const [, charset = ""] = parts[0] ?? [];
  if (bytes.includes(null)) return null;
  try {
    // RFC 2231 allows a language after the charset.
    const decoder = new TextDecoder(charset.split("*")[0], { fatal: onBadBytes === "keep" });
    const text = decoder.decode(Buffer.concat(bytes.flatMap((part) => part ?? [])));
    return storable(decoder.encoding === "windows-1252" ? asWindows1252(text) : text);
  } catch {
    return null;
  }
}

const from0x80 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ";

/** Some releases of Node decode windows-1252, and the label ISO 8859-1, as Latin 1. */
function asWindows1252(text: string): string {
  return text.replaceAll(/[\u0080-\u009f]/g, (sign) => from0x80.charAt(sign.charCodeAt(0) - 0x80));
}

function bytesOf(encoding: string, text: string): Buffer | null {
  if (/q/i.test(encoding)) return quotedBytes(text);
  return /^[a-z\d+/]*={0,2}$/i.test(text) ? Buffer.from(text, "base64") : null;
}

function quotedBytes(text: string): Buffer | null {
  if (/=(?![\da-f]{2})/i.test(text)) return null;
  const latin = text
    .replaceAll("_", " ")
    .replaceAll(/=([\da-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin, "latin1");
}

/** Control characters are not readable, and Postgres cannot store NUL. */
function storable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, " ");
}
