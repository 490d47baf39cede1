import { z } from "zod";
import type { Clock } from "../clock.ts";
import { parseAddress } from "../domain/address.ts";
import { ExactNumber, exactJson } from "../domain/exact-json.ts";
import { maxTenantName } from "../domain/mail/mail-facts.ts";
import { dayMs, readTime } from "../domain/time-text.ts";

/*
 * Fields of queries and bodies that several routes take.
 */

/** A field that may be missing. null is the same: many clients write it for what they do not have. */
export function optional<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** As `optional`, with a default. */
export function defaulted<Schema extends z.ZodType>(schema: Schema, value: z.output<Schema>) {
  return schema.nullish().transform((given) => given ?? value);
}

export const uuid = z.guid("must be a UUID").transform((text) => text.toLowerCase());

/** An email address, normalized. */
export const emailAddress = z
  .string()
  .max(320, "is longer than an email address may be")
  .transform((text, issues) => {
    const address = parseAddress(withoutNul(text));
    if (address) return address.matched;
    issues.addIssue({ code: "custom", message: "must be an email address" });
    return z.NEVER;
  });

/**
 * An address in a query. Forms encode a space as `+`, and people write the `+` of an address as it is: a space inside an
 * address was a `+`; at its ends it could be either.
 */
export const queriedAddress = z
  .string()
  .max(320, "is longer than an email address may be")
  .refine(
    (text) => text.trim() === text || text.includes("<"),
    "must not begin or end with a space; write %2B for a plus",
  )
  .transform((text) => text.replace(/^[^"]*@/, (local) => local.replaceAll(" ", "+")))
  .pipe(emailAddress);

const bareAddress = /^[^\s<>()[\]\\,;:"@\p{C}]+@[^\s@\p{C}]+\.[^\s@.\p{C}]+$/u;

/** The address of a person in a request: stricter than the addresses that mail is sent to. */
export const personAddress = z
  .string()
  .max(320, "is longer than an email address may be")
  .refine((text) => bareAddress.test(text.trim()) && text.isWellFormed(), "must be an email address")
  .pipe(emailAddress)
  .meta({ description: "An email address; case and surrounding spaces do not matter" });

/** An id or an address in a path, which the handler looks up. Node accepts no longer request line. */
export const pathText = z.string().max(16_384, "is longer than 16384 characters");

/** The parameters of a path that ends in `/:id`. */
export const byId = z.object({ id: pathText });

/** The normalized address that a path names; null if it is no address, and so as unknown as any other. */
export function addressOrNull(text: string): string | null {
  return emailAddress.safeParse(text).data ?? null;
}

/** Text of 1 to `max` characters that Postgres can store: no NUL, no half of a surrogate pair. */
export function storableText(max: number) {
  return z
    .string()
    .min(1, "must not be empty")
    .max(max, `is longer than ${max} characters`)
    .refine(isStorable, "must be Unicode text without NUL characters");
}

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes("\u0000");
}

export const tenantName = storableText(maxTenantName).meta({
  description: "An SES tenant: the value of the tag ses:tenant-name",
});

/** Lower-cased. */
export const domainName = z
  .string()
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/i, "must be a domain such as example.com")
  .max(253, "is longer than a domain may be")
  .transform((text) => text.toLowerCase());

const timeMessage = "must be a time such as 2026-01-31 or 2026-01-31T12:00:00Z";

const timeText = z
  .string()
  .max(100, timeMessage)
  .transform((text, issues) => {
    const time = readTime(withPlus(text));
    if (time) return time;
    issues.addIssue({ code: "custom", message: timeMessage });
    return z.NEVER;
  });

/** In a URL the `+` of an offset is read as a space unless it is encoded. */
function withPlus(text: string): string {
  return text.replace(/^(.+[T ].+) (\d\d(:?\d\d)?)$/i, "$1+$2");
}

const examples = ["2026-01-31T12:00:00Z", "2026-01-31"];

/** ISO 8601 or RFC 3339; a date means its first moment. */
export const time = timeText
  .transform(({ at }) => at)
  .meta({
    description: "A time such as 2026-01-31T12:00:00Z, or a date, which is its first moment in UTC",
    examples,
  });

/** As `time`, for the end of a period: a date means its last moment. */
export const untilTime = timeText
  .transform(({ at, isDay }) => (isDay ? new Date(at.getTime() + dayMs - 1) : at))
  .meta({
    description: "A time such as 2026-01-31T12:00:00Z, or a date: up to its last moment in UTC",
    examples,
  });

/** The query parameters of a period, both inclusive. */
export const period = { since: time.optional(), until: untilTime.optional() };

/** As `time`, as text in UTC with microseconds, which a Date would lose. */
export const timeWithMicroseconds = timeText
  .refine(({ at }) => at.getUTCFullYear() >= 1, timeMessage)
  .transform(({ exact }) => exact);

const earliest = new Date("2000-01-01T00:00:00.000Z");

/** When something happened: since 2000, and at most a day ahead, which allows for wrong clocks. */
export function pastTime(clock: Pick<Clock, "now">) {
  return time
    .refine((at) => at >= earliest, "must not be before 2000-01-01")
    .refine(
      (at) => at.getTime() <= clock.now().getTime() + dayMs,
      "must not be more than a day in the future",
    );
}

function withoutNul(text: string): string {
  return text.includes("\u0000") ? "" : text;
}

const maxPropertiesBytes = 64 * 1024;
const maxPropertiesDepth = 32;

/** The properties of a custom event: a JSON object of limited size and depth. */
export const eventProperties = z
  .custom<Readonly<Record<string, unknown>>>(isObject, "must be an object")
  .superRefine((properties, issues) => {
    const problem = problemOf(properties);
    if (problem) issues.addIssue({ code: "custom", message: problem });
  })
  .meta({
    type: "object",
    additionalProperties: true,
    description: `Any JSON object of at most ${maxPropertiesBytes / 1024} KB and ${maxPropertiesDepth} levels.`,
  });

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function problemOf(properties: unknown): string | null {
  // No recursion: JSON may be nested deeper than JSON.stringify can handle.
  let level: unknown[] = [properties];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > maxPropertiesDepth) return `is nested deeper than ${maxPropertiesDepth} levels`;
    const inside = level.flatMap(textsAndValues);
    if (!inside.every((value) => typeof value !== "string" || isStorable(value))) {
      return "must hold Unicode text without NUL characters";
    }
    const number = inside.find((value) => value instanceof ExactNumber && !value.isStorable);
    if (number instanceof ExactNumber) return unkept(number);
    level = inside.filter((value) => typeof value === "object" && value !== null);
  }
  const bytes = Buffer.byteLength(exactJson(properties));
  return bytes > maxPropertiesBytes ? `is larger than ${maxPropertiesBytes / 1024} KB` : null;
}

function unkept({ text }: ExactNumber): string {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return `holds the number ${shown}, which cannot be kept exactly; send it as a string`;
}

function textsAndValues(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return Object.entries(value as object).flat();
}
