/** Ends this process when the benchmark that started it asks for that, or is killed: its standard input ends then. */
export function endWithBenchmark(): void {
  process.on("SIGTERM", () => process.exit());
  process.stdin.on("end", () => process.exit()).resume();
}
