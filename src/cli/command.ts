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
 * Reads the arguments of a command strictly: an unknown option is an error, and so is one that npm kept for itself.
 * @throws UsageError
 */
export function readArgs<const T extends Options>(args: string[], options: T) {
  const parsed = parse(args, options);
  const given = new Set(parsed.tokens.flatMap((token) => (token.kind === "option" ? [token.name] : [])));
  refuseTakenByNpm(Object.keys(options).filter((name) => !given.has(name)));
  return { values: parsed.values, positionals: parsed.positionals, given };
}

/** Reads the arguments of a command that takes options alone. @throws UsageError */
export function readOptions<const T extends Options>(args: string[], options: T) {
  const { values, positionals } = readArgs(args, options);
  refuseMore(positionals);
  return values;
}

/** What `fanmail <command> <action>` takes. */
type Action<Option> = {
  /** Names what follows the action, for the error; absent: nothing does. */
  target?: string;
  options: readonly Option[];
};

/**
 * Reads the arguments of a command that has actions. Each takes its own options alone: one that had no effect could be
 * taken for one that had.
 * @returns the action, and its target ("" where it has none).
 * @throws UsageError
 */
export function readAction<const T extends Options, const A extends Record<string, Action<keyof T>>>(
  args: string[],
  options: T,
  actions: A,
) {
  const { values, positionals, given } = readArgs(args, options);
  const [name, ...rest] = positionals;
  const action = Object.keys(actions).find((known): known is keyof A & string => known === name);
  if (action === undefined) throw new UsageError(usageOf(actions));
  const { target, options: taken } = actions[action] ?? { options: [] };
  if (target !== undefined && !rest[0]) throw new UsageError(usageOf(actions));
  refuseMore(rest.slice(target === undefined ? 0 : 1));
  const foreign = [...given].find((option) => !taken.includes(option));
  if (foreign !== undefined) throw new UsageError(`--${foreign} is not for ${action}`);
  return { action, target: target === undefined ? "" : (rest[0] ?? ""), values };
}

function usageOf(actions: Record<string, Action<unknown>>): string {
  const known = Object.entries(actions).map(([name, { target }]) => (target ? `${name} ${target}` : name));
  return `Say what to do: ${known.slice(0, -1).join(", ")}, or ${known.at(-1)}`;
}

function refuseMore(positionals: readonly string[]): void {
  if (positionals.length > 0) throw new UsageError(`Unknown argument: ${positionals.join(" ")}`);
}

function parse<const T extends Options>(args: string[], options: T) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true, tokens: true });
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Settings of npm that a user's .npmrc may hold: `npx` passes them on although nobody typed them. */
const settingsOfNpm = ["json", "only", "description"];

/**
 * `npm run fanmail … --option` and `npm exec fanmail … --option`, without ` -- ` before the options, reach us without
 * them: npm takes them for settings of its own, and tells its children so in variables.
 */
function refuseTakenByNpm(names: readonly string[]): void {
  const { npm_command: command } = process.env;
  if (command === undefined) return;
  const isTaken = (name: string) => process.env[`npm_config_${name.replaceAll("-", "_")}`] !== undefined;
  const taken = names.filter(
    (name) => isTaken(name) && !(command === "exec" && settingsOfNpm.includes(name)),
  );
  if (taken.length === 0) return;
  const options = taken.map((name) => `--${name}`).join(" and ");
  throw new UsageError(`npm has kept ${options} for itself; run the command with npx fanmail instead`);
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

/**
 * Reads the URL that an option has.
 * @param example for the error.
 * @throws UsageError when it is none of http or https.
 */
export function readHttpUrl(option: string, text: string, example: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UsageError(`${option}: "${text}" is not a URL such as ${example}`);
}
