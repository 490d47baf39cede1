import { createHash } from "node:crypto";

const maxTimeMs = 2 ** 48 - 1;

/**
 * Computes the id of a fact that can reach us twice: a UUIDv8 (RFC 9562) of 48 bits of the fact's own time
 * and 74 bits of SHA-256 of its key. The same fact has the same id whoever computes it and whenever, and ids
 * of neighbouring times are neighbours in an index.
 *
 * @param timeMs epoch milliseconds; clamped to what 48 bits hold.
 * @param key what makes the fact itself; parts are joined unambiguously, so ["ab","c"] differs from ["a","bc"].
 */
export function computedId(timeMs: number, key: readonly string[]): string {
  const time = Math.min(Math.max(Math.trunc(timeMs), 0), maxTimeMs)
    .toString(16)
    .padStart(12, "0");
  const hash = createHash("sha256").update(JSON.stringify(key)).digest("hex");
  const variant = ((Number.parseInt(hash.slice(3, 4), 16) & 0x3) | 0x8).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-8${hash.slice(0, 3)}-${variant}${hash.slice(4, 7)}-${hash.slice(7, 19)}`;
}

/** The time that `computedId` (or a UUIDv7) put into an id, in epoch milliseconds. */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** No id of this time, nor of a later one, comes before it. */
export function firstIdAt(timeMs: number): string {
  const time = Math.min(Math.max(Math.trunc(timeMs), 0), maxTimeMs)
    .toString(16)
    .padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The uuid in lower case, or null when the text is none. */
export function uuidOrNull(text: string | null | undefined): string | null {
  return text !== null && text !== undefined && uuidPattern.test(text) ? text.toLowerCase() : null;
}
