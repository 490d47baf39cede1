/**
 * Reads the encoded words (RFC 2047) of a header, such as `=?utf-8?q?J=C3=BCrgen?=`. What cannot be read stays.
 */
export function decodedWords(value: string): string {
  if (!value.includes("=?")) return value;
  // White space between two encoded words only keeps lines short.
  const joined = value.replaceAll(/(\?=)\s+(?==\?)/g, "$1");
  return joined.replaceAll(/=\?([^?\s]+)\?([bq])\?([^?\s]*)\?=/gi, (word, charset, encoding, text) => {
    try {
      const bytes = /b/i.test(encoding) ? Buffer.from(text, "base64") : quotedBytes(text);
      // RFC 2231 lets a language follow the charset.
      return new TextDecoder(charset.split("*")[0]).decode(bytes);
    } catch {
      return word;
    }
  });
}

function quotedBytes(text: string): Buffer {
  const latin = text
    .replaceAll("_", " ")
    .replaceAll(/=([\da-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin, "latin1");
}
