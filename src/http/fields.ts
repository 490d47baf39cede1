import { z } from "zod";
import type { Clock } from "../clock.ts";
import { parseAddress } from "../domain/address.ts";
import { maxTenantName } from "../domain/mail/mail-facts.ts";
import { readTime } from "../domain/time-text.ts";

/*
 * Fields of queries and bodies that several routes take.
 */

/** A field of a body that may be left out; many clients write null for what they do not have. */
export function optional<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** As `optional`, with what stands in its place. */
export function defaulted<Schema extends z.ZodType>(schema: Schema, value: z.output<Schema>) {
  return schema.nullish().transform((given) => given ?? value);
}

export const uuid = z.guid("must be a UUID").transform((text) => text.toLowerCase());

/** An address in the form that is matched. */
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
 * An address in a query. Forms encode a blank as `+`, and people leave the `+` of an address as it is: inside of one,
 * where no blank can be, it is a `+`; at its ends it could be either.
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

/** The address of a person whom a caller tells of: stricter than what mail may have been sent to. */
export const personAddress = z
  .string()
  .max(320, "is longer than an email address may be")
  .refine((text) => bareAddress.test(text.trim()) && text.isWellFormed(), "must be an email address")
  .pipe(emailAddress)
  .meta({ description: "An email address; trimmed and in lower case it is the same" });

/**
 * What a path may hold in place of an id or an address; whether there is such a one is the handler's to say. Node takes
 * no longer request line.
 */
export const pathText = z.string().max(16_384, "is longer than 16384 characters");

/** The address that a path names, in the form that is matched; what is none is as unknown as any other. */
export function addressOrNull(text: string): string | null {
  return emailAddress.safeParse(text).data ?? null;
}

/** Text of 1 to `max` characters that can be stored: no NUL, and no half of a surrogate pair. */
export function storableText(max: number) {
  return z
    .string()
    .min(1, "must not be empty")
    .max(max, `is longer than ${max} characters`)
    .refine(isStorable, "must be Unicode text without NUL characters");
}

/** Whether Postgres can hold a text. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes("\u0000");
}

/** The name of a tenant of SES. */
export const tenantName = storableText(maxTenantName).meta({
  description: "A tenant of SES, as the tag ses:tenant-name names it",
});

/** A domain name, in lower case. */
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

/** In a URL the `+` of an offset is read as a blank unless it is encoded. */
function withPlus(text: string): string {
  return text.replace(/^(.+[T ].+) (\d\d(:?\d\d)?)$/i, "$1+$2");
}

const examples = ["2026-01-31T12:00:00Z", "2026-01-31"];

/** ISO 8601 or RFC 3339; a date is its first moment. */
export const time = timeText
  .transform(({ at }) => at)
  .meta({
    description: "A time such as 2026-01-31T12:00:00Z, or a date, which is its first moment in UTC",
    examples,
  });

/** As `time`, for the end of a period: a date is the whole day. */
export const untilTime = timeText
  .transform(({ at, isDay }) => (isDay ? new Date(at.getTime() + dayMs - 1) : at))
  .meta({
    description: "A time such as 2026-01-31T12:00:00Z, or a date: up to its last moment in UTC",
    examples,
  });

/** As `time`, as text in UTC with six digits of a second's fraction, none of which is lost. */
export const exactTime = timeText
  .refine(({ at }) => at.getUTCFullYear() >= 1, timeMessage)
  .transform(({ exact }) => exact);

const earliest = new Date("2000-01-01T00:00:00.000Z");
const dayMs = 86_400_000;

/** When something happened: from 2000 on, and at most a day ahead, which allows for wrong clocks. */
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
