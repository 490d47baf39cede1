import { type ParseArgsConfig, parseArgs } from "node:util";
import { type Config, readConfig } from "../config.ts";
import { readTime } from "../domain/time-text.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** A command of `fanmail`. */
export type Command = {
  /** What `--help` prints after the first line. */
  help: string;
  /** @returns the exit code; nothing for 0. */
  run(args: string[]): Promise<number | undefined>;
};

/** The caller gave something that the command does not take. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * Reads the arguments of a command strictly: an unknown option is an error.
 * @throws UsageError
 */
export function readArgs<const T extends Options>(args: string[], options: T) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/**
 * Reads a comma-separated list of known names.
 * @param what the names are, for the error.
 * @throws UsageError that lists the unknown and the known ones.
 */
export function readChoices(what: string, text: string, known: readonly string[]): string[] {
  const given = text.split(",").map((name) => name.trim());
  const unknown = given.filter((name) => !known.includes(name));
  if (unknown.length === 0) return given;
  throw new UsageError(`Unknown ${what}: ${unknown.join(", ")}. There are: ${known.join(", ")}`);
}

/**
 * Reads a time, in the forms that the API takes.
 * @throws UsageError
 */
export function readTimeOption(option: string, text: string | undefined): Date | null {
  if (text === undefined) return null;
  const time = readTime(text);
  if (time) return time.at;
  throw new UsageError(
    `${option} must be a day or a time in UTC such as 2026-11-21 or 2026-11-21T12:00Z, not "${text}"`,
  );
}

/** The configuration of the environment. @throws ConfigError */
export function environmentConfig(): Config {
  return readConfig(process.env);
}

/** Prints a line of a command's answer. */
export function print(line = ""): void {
  process.stdout.write(`${line}\n`);
}

/** Prints an answer for programs. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Rows as lines of aligned columns, the first row being the heads. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
