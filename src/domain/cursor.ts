import { uuidOrNull } from "./computed-id.ts";

/** A place in a list: the sort time with all its microseconds, and the id that breaks ties. */
export type Cursor = { time: string; id: string };

const microsecondTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

/** An opaque text, from which the next page starts. */
export function encodeCursor({ time, id }: Cursor): string {
  return Buffer.from(`${time}/${id}`).toString("base64url");
}

/** @returns null if the text is not a cursor. */
export function decodeCursor(text: string): Cursor | null {
  const [time, id, ...rest] = Buffer.from(text, "base64url").toString("utf8").split("/");
  const uuid = uuidOrNull(id);
  if (!time || !uuid || rest.length > 0) return null;
  return microsecondTime.test(time) && isRealTime(time) ? { time, id: uuid } : null;
}

/** Date.parse reads 30 February as 2 March; Postgres refuses it, and the year 0 too. */
function isRealTime(time: string): boolean {
  const date = new Date(time);
  const isOfCalendar = !Number.isNaN(date.getTime()) && date.toISOString().slice(0, 19) === time.slice(0, 19);
  return isOfCalendar && date.getUTCFullYear() > 0;
}
