/**
 * Keeps an output that cannot be written from ending the process half-way: what the command does, it does to its end.
 * A closed pipe (`fanmail … | head`) is no failure; any other error, such as a full disk, is told once on standard error
 * and makes the exit code 1.
 */
export function watchOutput(): void {
  let isLost = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE" || isLost) return;
    isLost = true;
    process.stderr.write(`fanmail: Standard output cannot be written: ${error.message}\n`);
  });
  // There is nowhere left to tell it.
  process.stderr.on("error", () => {});
  process.on("exit", (code) => {
    // The error of the last line comes after the command has its exit code.
    if (isLost && code === 0) process.exitCode = 1;
  });
}
