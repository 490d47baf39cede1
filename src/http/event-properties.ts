import { z } from "zod";
import { ExactNumber, exactJson } from "../domain/exact-json.ts";
import { isStorable } from "./fields.ts";

const maxBytes = 64 * 1024;
const maxDepth = 32;

/** What a custom event tells: any JSON object, of a size and depth that are stated. */
export const eventProperties = z
  .custom<Readonly<Record<string, unknown>>>(isObject, "must be an object")
  .superRefine((properties, issues) => {
    const problem = problemOf(properties);
    if (problem) issues.addIssue({ code: "custom", message: problem });
  })
  .meta({
    type: "object",
    additionalProperties: true,
    description: `Any JSON object of at most ${maxBytes / 1024} KB and ${maxDepth} levels.`,
  });

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function problemOf(properties: unknown): string | null {
  // A parser of JSON takes a depth at which recursion, such as that of JSON.stringify, fails.
  let level: unknown[] = [properties];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > maxDepth) return `is nested deeper than ${maxDepth} levels`;
    const inside = level.flatMap(textsAndValues);
    if (!inside.every((value) => typeof value !== "string" || isStorable(value))) {
      return "must hold Unicode text without NUL characters";
    }
    const number = inside.find((value) => value instanceof ExactNumber && !value.isStorable);
    if (number instanceof ExactNumber) return unkept(number);
    level = inside.filter((value) => typeof value === "object" && value !== null);
  }
  const bytes = Buffer.byteLength(exactJson(properties));
  return bytes > maxBytes ? `is larger than ${maxBytes / 1024} KB` : null;
}

function unkept({ text }: ExactNumber): string {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return `holds the number ${shown}, which cannot be kept exactly; send it as a string`;
}

function textsAndValues(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return Object.entries(value as object).flat();
}
