import { readTime } from "./time-text.ts";

const earliestMs = Date.UTC(2000, 0, 1);
const latestMs = Date.UTC(2100, 0, 1);

/**
 * Reads a time as SES writes it: ISO 8601 (in UTC when it names no zone), or the odd form
 * `2018-10-08T14:05:45 +0000` of one AWS example.
 * @returns null when it is absent, not a time, or not of this century (a partition is made for each month).
 */
export function parseSesTime(text: string | null | undefined): Date | null {
  const time = readTime(text ?? "");
  if (time === null || time.isDay) return null;
  const timeMs = time.at.getTime();
  return timeMs >= earliestMs && timeMs < latestMs ? time.at : null;
}

/**
 * The time inside an SES messageId (`0100` or another prefix of four digits, then 48 bits of epoch milliseconds).
 * @returns null for an id of another form.
 */
export function timeOfMessageId(messageId: string): Date | null {
  const digits = /^[0-9a-f]{4}([0-9a-f]{12})-/i.exec(messageId)?.[1];
  if (digits === undefined) return null;
  const timeMs = Number.parseInt(digits, 16);
  return timeMs >= earliestMs && timeMs < latestMs ? new Date(timeMs) : null;
}
