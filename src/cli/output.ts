/**
 * Keeps a failing output from ending the process half-way: the command completes its work. A closed pipe
 * (`fanmail … | head`) is not a failure; any other error, such as a full disk, is reported once on standard error and makes
 * the exit code 1.
 */
export function watchOutput(): void {
  let isLost = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE" || isLost) return;
    isLost = true;
    process.stderr.write(`fanmail: Standard output cannot be written: ${error.message}\n`);
  });
  // There is nowhere left to report it.
  process.stderr.on("error", () => {});
  process.on("exit", (code) => {
    // The error of the last line arrives after the command has set its exit code.
    if (isLost && code === 0) process.exitCode = 1;
  });
}

/**
 * Escapes, as JSON does, what could control the terminal or turn the direction of writing: emails hold what strangers
 * wrote. Line breaks and tabs stay.
 */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]|\p{Bidi_Control}/gu, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** The minimum width of a terminal. */
export const terminalColumns = 80;

/**
 * Breaks a text between words, so that a terminal does not break it within one. A longer word keeps a line to itself.
 * @param indent precedes every line except the first.
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
