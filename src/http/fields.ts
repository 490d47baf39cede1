import { z } from "zod";
import { parseAddress } from "../domain/address.ts";

/*
 * Fields of queries and bodies that several routes take.
 */

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

/** An address of a person that events are told of or that is suppressed: stricter than what mail may have been sent to. */
export const personAddress = emailAddress.refine(
  (address) =>
    address.length <= 254 && /^[^\s<>()[\]\\,;:"@\p{C}]+@[^\s@\p{C}]+\.[^\s@.\p{C}]+$/u.test(address),
  "must be an email address",
);

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

/** A domain name, in lower case. */
export const domainName = z
  .string()
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/i, "must be a domain such as example.com")
  .max(253, "is longer than a domain may be")
  .transform((text) => text.toLowerCase());

const timeMessage = "must be a time such as 2026-01-31 or 2026-01-31T12:00:00Z";

/** ISO 8601 with an offset, or a date, which is its first moment in UTC. */
export const time = z
  .union([z.iso.datetime({ offset: true }), z.iso.date()], timeMessage)
  .transform((text) => new Date(text));

function withoutNul(text: string): string {
  return text.includes("\u0000") ? "" : text;
}
