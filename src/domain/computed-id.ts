import { hash } from "node:crypto";

const maxTimeMs = 2 ** 48 - 1;

/**
 * Computes the id of a fact that can arrive twice: a UUIDv8 (RFC 9562) of 48 bits of the fact's own time and 74 bits
 * of SHA-256 of its key. Every process computes the same id for the same fact, and ids of neighbouring times are
 * neighbours in an index.
 *
 * @param timeMs epoch milliseconds; clamped to 48 bits.
 * @param key what identifies the fact; parts are joined unambiguously, so ["ab","c"] differs from ["a","bc"].
 */
export function computedId(timeMs: number, key: readonly string[]): string {
  const time = timeDigits(timeMs);
  const digest = hash("sha256", JSON.stringify(key), "hex");
  const variant = "89ab".charAt(Number.parseInt(digest.charAt(3), 16) & 0x3);
  return `${time.slice(0, 8)}-${time.slice(8)}-8${digest.slice(0, 3)}-${variant}${digest.slice(4, 7)}-${digest.slice(7, 19)}`;
}

function timeDigits(timeMs: number): string {
  return Math.min(Math.max(Math.trunc(timeMs), 0), maxTimeMs)
    .toString(16)
    .padStart(12, "0");
}

/** The time that `computedId` (or a UUIDv7) put into an id, in epoch milliseconds. */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The lowest possible id of a time. */
export function firstIdAt(timeMs: number): string {
  const time = timeDigits(timeMs);
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The UUID in lower case, or null if the text is not a UUID. */
export function uuidOrNull(text: string | null | undefined): string | null {
  return text !== null && text !== undefined && uuidPattern.test(text) ? text.toLowerCase() : null;
}
