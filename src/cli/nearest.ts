/** Finds the name that was probably meant, at most two letters from what was written. */
export function nearest(written: string, names: readonly string[]): string | null {
  const byDistance = names.map((name) => ({ name, letters: distance(written, name) }));
  const [first] = byDistance.toSorted((one, other) => one.letters - other.letters);
  return first !== undefined && first.letters <= 2 ? first.name : null;
}

/** How many letters must be put in, taken out or changed to get from one to the other (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (const [column, other] of [...to].entries()) {
      const change = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(change, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
