/** The width that every terminal has at least. */
export const terminalColumns = 80;

/**
 * Breaks a text between words, so that a terminal does not break it within one. A word that is longer keeps its line.
 * @param indent stands before every line but the first.
 */
export function wrap(text: string, columns = terminalColumns, indent = ""): string {
  const lines: string[] = [];
  // Spaces that align columns stay.
  for (const word of text.split(/ (?=\S)/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(last === undefined ? word : indent + word);
  }
  return lines.join("\n");
}
