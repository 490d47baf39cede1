import { editDistance } from "../domain/edit-distance.ts";

/** Finds the name that was probably meant, at most two letters from what was written. */
export function nearest(written: string, names: readonly string[]): string | null {
  const byDistance = names.map((name) => ({ name, letters: editDistance(written, name) }));
  const [first] = byDistance.toSorted((one, other) => one.letters - other.letters);
  return first !== undefined && first.letters <= 2 ? first.name : null;
}
