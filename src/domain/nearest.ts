/** The number of characters to insert, remove or change to turn one text into the other (Levenshtein). */
export function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, place) => place);
  for (const [index, letter] of [...one].entries()) {
    const next = [index + 1];
    for (const [place, expected] of [...other].entries()) {
      const changed = (row[place] ?? 0) + (letter === expected ? 0 : 1);
      next.push(Math.min(changed, (row[place + 1] ?? 0) + 1, (next[place] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** Finds the name that was probably meant: at most two letters differ. */
export function nearest(written: string, names: readonly string[]): string | null {
  const byDistance = names.map((name) => ({ name, letters: editDistance(written, name) }));
  const [first] = byDistance.toSorted((one, other) => one.letters - other.letters);
  return first !== undefined && first.letters <= 2 ? first.name : null;
}
