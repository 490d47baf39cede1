import { timeOfId, uuidOrNull } from "../../../domain/computed-id.ts";

/*
 * Emailit's ids have 16 characters. Ours of an event are made from its uuid so that the way back is cheap: they hold the
 * 48 bits of its time, by which events are found, and the last 47 of its hash, which tells those of one moment apart.
 */

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const base = BigInt(alphabet.length);
const length = 16;
const hashBits = 47n;

/** The 16 characters that stand for the uuid of an event. */
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
 * The time that a short id, or a uuid, says its event happened at, in epoch milliseconds.
 * @returns null when the text is neither.
 */
export function timeOfShortId(text: string): number | null {
  const uuid = uuidOrNull(text);
  if (uuid) return timeOfId(uuid);
  if (!/^[0-9A-Za-z]{16}$/.test(text)) return null;
  const value = [...text].reduce((sum, character) => sum * base + BigInt(alphabet.indexOf(character)), 0n);
  const time = value >> hashBits;
  return time < 1n << 48n ? Number(time) : null;
}
