/** @property at to the millisecond. @property exact in UTC with six digits of a second's fraction. */
export type TimeText = { at: Date; exact: string; isDay: boolean };

export const dayMs = 86_400_000;

/** The day of a time in UTC: `2026-11-24`. */
export function isoDay(time: Date): string {
  return time.toISOString().slice(0, 10);
}

/** A time in UTC with six digits of a second's fraction, as cursors have it. @param us beyond the millisecond. */
export function microsecondText(at: Date, us = 0): string {
  return at.toISOString().replace("Z", `${String(us).padStart(3, "0")}Z`);
}

/**
 * Reads a time in the usual forms of ISO 8601 and RFC 3339: a calendar, ordinal or week date, alone (its first
 * moment) or with a time of day, with or without separators; in UTC if it has no offset. Keeps six digits of a
 * second's fraction. A leap second is the first moment of the next day, as in POSIX. A zone in brackets (RFC 9557) is
 * ignored.
 * @returns null for anything else, for days that do not exist, and outside the years 0 to 9999.
 */
export function readTime(text: string): TimeText | null {
  const [, date, clock, zone] = parts.exec(text) ?? [];
  const midnightMs = date === undefined ? null : readDay(date);
  const time = clock === undefined ? { ms: 0, us: 0, isLeap: false } : readClock(clock);
  const offsetMs = zone === undefined ? 0 : readOffset(zone);
  if (midnightMs === null || time === null || offsetMs === null) return null;
  const atMs = midnightMs + time.ms - offsetMs;
  if (time.isLeap && atMs % dayMs < dayMs - 1_000) return null;
  const at = new Date(time.isLeap ? atMs + 1_000 : atMs);
  if (at.getUTCFullYear() < 0 || at.getUTCFullYear() > 9999) return null;
  const exact = microsecondText(at, time.us);
  return { at, exact, isDay: clock === undefined };
}

const parts = /^([\dW-]+)(?:[T ]([\d:.,]+)(?: ?(Z|[+\u2212-][\d:]+)(?:\[[\w/+:!=-]+\])*)?)?$/i;

/** @returns the first moment of the day in UTC. */
function readDay(date: string): number | null {
  const [, year, month, day] =
    /^(\d{4})-(\d\d)-(\d\d)$/.exec(date) ?? /^(\d{4})(\d\d)(\d\d)$/.exec(date) ?? [];
  if (year !== undefined) return calendarDay(Number(year), Number(month), Number(day));
  const [, ordinalYear, dayOfYear] = /^(\d{4})-?(\d{3})$/.exec(date) ?? [];
  if (ordinalYear !== undefined) return ordinalDay(Number(ordinalYear), Number(dayOfYear));
  const [, weekYear, week, weekday] =
    /^(\d{4})(?:-W(\d\d)-|W(\d\d))([1-7])$/i.exec(date)?.filter(Boolean) ?? [];
  return weekYear === undefined ? null : weekDay(Number(weekYear), Number(week), Number(weekday));
}

function calendarDay(year: number, month: number, day: number): number | null {
  const date = dateOf(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() : null;
}

function ordinalDay(year: number, day: number): number | null {
  const date = dateOf(year, 0, day);
  return day > 0 && date.getUTCFullYear() === year ? date.getTime() : null;
}

/** 4 January is in the first week; a week belongs to the year of its Thursday. */
function weekDay(year: number, week: number, weekday: number): number | null {
  const mondayBefore = (dateOf(year, 0, 4).getUTCDay() + 6) % 7;
  const thursday = dateOf(year, 0, 4 - mondayBefore + 7 * (week - 1) + 3);
  const isOfYear = week > 0 && thursday.getUTCFullYear() === year;
  return isOfYear ? thursday.getTime() + (weekday - 4) * dayMs : null;
}

/** As Date.UTC, which reads the years 0 to 99 as 1900 to 1999. */
function dateOf(year: number, month: number, day: number): Date {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return date;
}

/**
 * @property us the microseconds beyond `ms`.
 * @property isLeap then `ms` is that of the second before.
 */
function readClock(clock: string): { ms: number; us: number; isLeap: boolean } | null {
  const [, hour, minute = "", second = "", fraction = ""] =
    /^(\d\d)(?::?(\d\d)(?::?(\d\d))?)?(?:[.,](\d+))?$/.exec(clock) ?? [];
  if (hour === undefined || Number(minute) > 59 || Number(second) > 60) return null;
  const isLeap = second === "60";
  const wholeMs = Number(hour) * 3_600_000 + Number(minute) * 60_000 + Number(isLeap ? 59 : second) * 1_000;
  const us = fractionUs(fraction, second !== "" ? 1e6 : minute !== "" ? 60e6 : 3_600e6);
  // 24:00 is the end of a day, and no later time follows.
  if (wholeMs + us / 1_000 > dayMs) return null;
  return { ms: wholeMs + Math.floor(us / 1_000), us: us % 1_000, isLeap };
}

/**
 * A fraction belongs to the smallest unit given. Digits beyond a microsecond are cut off, so that `since` skips
 * nothing.
 */
function fractionUs(fraction: string, unitUs: number): number {
  const digits = BigInt(fraction.slice(0, 30) || "0") * BigInt(unitUs);
  return Number(digits / 10n ** BigInt(Math.min(fraction.length, 30)));
}

function readOffset(zone: string): number | null {
  if (zone.toUpperCase() === "Z") return 0;
  const [, sign, hours, minutes = "0"] = /^(.)(\d\d)(?::?(\d\d))?$/.exec(zone) ?? [];
  if (Number(hours) > 23 || Number(minutes) > 59 || sign === undefined) return null;
  return (sign === "+" ? 1 : -1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}

const earliestMs = Date.UTC(2000, 0, 1);
const latestMs = Date.UTC(2100, 0, 1);

/**
 * Reads a time as SES writes it: ISO 8601 (in UTC if it has no zone), or the odd form `2018-10-08T14:05:45 +0000` of
 * one AWS example.
 * @returns null if it is absent, not a time, or not in this century (each month gets a partition).
 */
export function parseSesTime(text: string | null | undefined): Date | null {
  return readUsualTime(text ?? "") ?? readOtherTime(text ?? "");
}

/** Nearly every time of SES, which a Date reads by itself. */
const usual =
  /^20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3])(?::[0-5]\d){2}(?:\.\d{3})?Z$/;

function readUsualTime(text: string): Date | null {
  if (!usual.test(text)) return null;
  const at = new Date(text);
  // A Date takes 31 February for 3 March.
  return at.getUTCDate() === Number(text.slice(8, 10)) ? at : null;
}

function readOtherTime(text: string): Date | null {
  const time = readTime(text);
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
