import { editDistance } from "../domain/nearest.ts";
import { ApiError } from "./errors.ts";

/*
 * Unknown parameters are ignored, so that cache busters and utm_source pass. But a filter that is ignored would answer
 * with everything, so what is evidently meant as a filter is rejected.
 */

/** The names that a route knows. */
export type KnownNames = {
  /** `GET /v1/activity` */
  title: string;
  parameters: readonly string[];
  /** Fields of its body and answer, which people try as filters. */
  fields: readonly string[];
};

/** @throws ApiError 400 that names the first unknown parameter that is meant as a filter, and those that exist. */
export function refuseMeantFilters(
  given: readonly string[],
  route: KnownNames,
  routes: readonly KnownNames[],
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

/** @throws ApiError 400 that names the first misspelled field; other unknown fields are ignored. */
export function refuseMisspelledFields(given: readonly string[], fields: readonly string[]): void {
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

/** Whether a name is a spelling of one of `words`, or a filter in the style of other APIs. */
function isMeant(name: string, words: readonly string[]): boolean {
  if (/[[\]]/.test(name)) return true;
  if (wordsOf(name).some((word) => filterWords.has(word))) return true;
  return words.some((word) => isSpelling(plain(name), plain(word)));
}

/** Words that other APIs filter, sort and page by, alone (`to`) and in names such as `created_after`. */
const filterWords: ReadonlySet<string> = new Set(
  "address after before date end filter from offset order query recipient search since size sort start to type until where".split(
    " ",
  ),
);

/** Splits `createdAfter`, `created-after` and `filter[created_after]` into words. */
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

/** Typing errors are rare in the first letter; one in a short word makes another word. */
function isSpelling(name: string, word: string): boolean {
  if (name === word) return name !== "";
  const errors = word.length < 5 || name[0] !== word[0] ? 1 : 2;
  return (
    word.length > 3 && Math.abs(name.length - word.length) <= errors && editDistance(name, word) <= errors
  );
}

/** The route that has the parameter, or another one with its brackets: the client may use the path of another API. */
function hint(name: string, routes: readonly KnownNames[]): string {
  const family = name.split("[")[0] + (name.includes("[") ? "[" : "");
  const isAlike = (known: string) => known === name || (family.endsWith("[") && known.startsWith(family));
  const other = routes.find(({ parameters }) => parameters.some(isAlike));
  return other ? `; ${other.title} takes ${other.parameters.find(isAlike)}` : "";
}

function shown(name: string): string {
  return name.length > 100 ? `${name.slice(0, 100)}…` : name;
}
