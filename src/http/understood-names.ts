import { editDistance } from "../domain/nearest.ts";
import { ApiError } from "./errors.ts";

/*
 * Unknown parameters are ignored, so that cache busters and utm_source pass. A filter that is ignored answers with
 * everything, though: what is evidently meant as one is refused.
 */

/** What a route knows. */
export type Vocabulary = {
  /** `GET /v1/activity` */
  title: string;
  parameters: readonly string[];
  /** Names of fields of its body and answer, which people try as filters. */
  fields: readonly string[];
};

/** @throws ApiError 400 that names the first parameter that is not understood, and those that there are. */
export function assertUnderstood(
  given: readonly string[],
  route: Vocabulary,
  routes: readonly Vocabulary[],
): void {
  const elsewhere = routes.flatMap(({ parameters }) => parameters);
  const words = [
    ...route.parameters,
    ...route.fields,
    ...elsewhere.flatMap((name) => [name, ...wordsOf(name)]),
  ];
  const name = unknownNames(given, route.parameters, words)[0];
  if (name === undefined) return;
  const takes = route.parameters.join(", ") || "none";
  throw new ApiError(
    400,
    `${shown(name)} is not a parameter of ${route.title}, which takes ${takes}${hint(name, routes)}`,
  );
}

/** @throws ApiError 400 that names the first field that is a misspelled one; others are ignored. */
export function assertNoMisspelling(given: readonly string[], fields: readonly string[]): void {
  const name = unknownNames(given, fields, fields)[0];
  if (name !== undefined)
    throw new ApiError(400, `${shown(name)} is not known; the fields are ${fields.join(", ")}`);
}

function unknownNames(
  given: readonly string[],
  known: readonly string[],
  words: readonly string[],
): string[] {
  return given.filter((name) => !known.includes(name) && isMeant(name, words));
}

/** Whether a name is evidently one of `words`, or a filter in the manner of other APIs. */
function isMeant(name: string, words: readonly string[]): boolean {
  if (/[[\]]/.test(name)) return true;
  if (wordsOf(name).some((word) => filterWords.has(word))) return true;
  return words.some((word) => isSpelling(plain(name), plain(word)));
}

/** Words by which other APIs filter, order and page, alone (`to`) and in names such as `created_after`. */
const filterWords: ReadonlySet<string> = new Set(
  "address after before date end filter from offset order query recipient search since size sort start to type until where".split(
    " ",
  ),
);

/** `createdAfter`, `created-after` and `filter[created_after]` in single words. */
function wordsOf(name: string): string[] {
  const words = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return words.split(/[^a-z0-9]+/).filter((word) => word !== "");
}

function plain(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "")
    .replace(/s$/, "");
}

/** Typing errors are rare in a first letter, and in short words they make others. */
function isSpelling(name: string, word: string): boolean {
  if (name === word) return name !== "";
  const errors = word.length < 5 || name[0] !== word[0] ? 1 : 2;
  return (
    word.length > 3 && Math.abs(name.length - word.length) <= errors && editDistance(name, word) <= errors
  );
}

/** Where the parameter, or one in brackets as it, is known: clients may ask at the path of another API. */
function hint(name: string, routes: readonly Vocabulary[]): string {
  const family = name.split("[")[0] + (name.includes("[") ? "[" : "");
  const isAlike = (known: string) => known === name || (family.endsWith("[") && known.startsWith(family));
  const other = routes.find(({ parameters }) => parameters.some(isAlike));
  return other ? `; ${other.title} takes ${other.parameters.find(isAlike)}` : "";
}

function shown(name: string): string {
  return name.length > 100 ? `${name.slice(0, 100)}…` : name;
}
