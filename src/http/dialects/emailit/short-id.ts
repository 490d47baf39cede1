import { timeOfId, uuidOrNull } from "../../../domain/computed-id.ts";

/*
 * Emailit's ids have 16 characters. They are made from an event's UUID so that the event can be found by them: 48 bits of
 * its time, then the last 47 bits of its hash, which tells events of the same time apart.
 */

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const base = BigInt(alphabet.length);
const length = 16;
const hashBits = 47n;

export function shortId(uuid: string): string {
  const hash = BigInt(`0x${uuid.replaceAll("-", "").slice(-12)}`) & ((1n << hashBits) - 1n);
  let rest = (BigInt(timeOfId(uuid)) << hashBits) | hash;
  let text = "";
  for (let place = 0; place < length; place++) {
    text = alphabet[Number(rest % base)] + text;
    rest /= base;
  }
  return text;
}

/**
 * The event time in a short id or a UUID, in epoch milliseconds.
 * @returns null if the text is neither.
 */
export function timeOfShortId(text: string): number | null {
  const uuid = uuidOrNull(text);
  if (uuid) return timeOfId(uuid);
  if (!/^[0-9A-Za-z]{16}$/.test(text)) return null;
  const value = [...text].reduce((sum, character) => sum * base + BigInt(alphabet.indexOf(character)), 0n);
  const time = value >> hashBits;
  return time < 1n << 48n ? Number(time) : null;
}
