import { type ParseArgsConfig, parseArgs } from "node:util";
import { type Config, readConfig } from "../config.ts";
import { activityName, type EmailEventType, emailEventTypes } from "../domain/mail/event-names.ts";
import { readTime } from "../domain/time-text.ts";
import { isHttpUrl } from "../domain/url.ts";
import { printable } from "./output.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** A command of `fanmail`. */
export type Command = {
  /** What `--help` prints after the first line. */
  help: string;
  /** @returns the exit code; nothing for 0. */
  run(args: string[]): Promise<number | undefined>;
};

/** The command was called with wrong arguments. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * Reads a command's arguments strictly: an unknown option is an error, and so is one that npm kept for itself.
 * @throws UsageError
 */
export function readArgs<const T extends Options>(args: string[], options: T) {
  const parsed = parse(args, options);
  const given = new Set(parsed.tokens.flatMap((token) => (token.kind === "option" ? [token.name] : [])));
  refuseTakenByNpm(Object.keys(options).filter((name) => !given.has(name)));
  return { values: parsed.values, positionals: parsed.positionals, given };
}

/** Reads the arguments of a command that accepts only options. @throws UsageError */
export function readOptions<const T extends Options>(args: string[], options: T) {
  const { values, positionals } = readArgs(args, options);
  refuseMore(positionals);
  return values;
}

type Values<T extends Options> = ReturnType<typeof readArgs<T>>["values"];

/** `<action>` of `fanmail <command> <action>`. */
type Action<T extends Options> = {
  /** What follows the action, for the error; absent: nothing does. */
  target?: string;
  options: readonly (keyof T & string)[];
  run(given: Values<T> & { target: string }): Promise<void>;
};

/**
 * A command with actions. Each accepts only its own options, because one without effect could seem to have one.
 * @param options of all actions together.
 */
export function commandWithActions<const T extends Options>(
  help: string,
  options: T,
  actions: Readonly<Record<string, Action<T>>>,
): Command {
  return {
    help,
    async run(args) {
      const { values, positionals, given } = readArgs(args, options);
      const [name = "", ...rest] = positionals;
      const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
      if (action === undefined || (action.target !== undefined && !rest[0]))
        throw new UsageError(usageOf(actions));
      refuseMore(rest.slice(action.target === undefined ? 0 : 1));
      const foreign = [...given].find((option) => !action.options.includes(option));
      if (foreign !== undefined) throw new UsageError(`--${foreign} is not for ${name}`);
      await action.run({ ...values, target: action.target === undefined ? "" : (rest[0] ?? "") });
      return 0;
    },
  };
}

function usageOf(actions: Readonly<Record<string, { target?: string }>>): string {
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

/** npm settings that a user's .npmrc may contain: `npx` passes them on although nobody typed them. */
const settingsOfNpm = ["json", "only", "description"];

/**
 * `npm run fanmail … --option` and `npm exec fanmail … --option`, without ` -- ` before the options, lose them: npm takes
 * them as its own settings, and passes these to its children as environment variables.
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
 * @param what names the kind, for the error.
 * @throws UsageError that lists the unknown and the known ones.
 */
export function readChoices(what: string, text: string, known: readonly string[]): string[] {
  const given = text.split(",").map((name) => name.trim());
  const unknown = given.filter((name) => !known.includes(name));
  if (unknown.length === 0) return given;
  throw new UsageError(`Unknown ${what}: ${unknown.join(", ")}. There are: ${known.join(", ")}`);
}

/**
 * Reads a time, in the formats of the API.
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

/** The configuration from the environment. @throws ConfigError */
export function environmentConfig(): Config {
  return readConfig(process.env);
}

/** Prints a line of a command's output. */
export function print(line = ""): void {
  process.stdout.write(`${printable(line)}\n`);
}

/** Prints output for programs. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Prints a list, as JSON or as a table. */
export function printList<Row>(
  rows: readonly Row[],
  asJson: boolean,
  columns: readonly string[],
  cellsOf: (row: Row) => string[],
): void {
  if (asJson) printJson(rows);
  else for (const line of table([columns, ...rows.map(cellsOf)])) print(line);
}

/** Formats rows as lines of aligned columns; the first row is the header. */
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
 * Reads an option's URL.
 * @param example for the error.
 * @throws UsageError if it is not an http or https URL.
 */
export function readHttpUrl(option: string, text: string, example: string): string {
  if (isHttpUrl(text)) return text;
  throw new UsageError(`${option}: "${text}" is not a URL such as ${example}`);
}

/** The event names, for a command's help. */
export const eventTypeNames = emailEventTypes.map(activityName);

/**
 * Reads a comma-separated list of events, by the names that activities show (`bounce`) or the internal ones (`bounced`).
 * @throws UsageError
 */
export function readEventTypes(text: string): ReadonlySet<EmailEventType> {
  const names = readChoices("event types", text, [...new Set([...eventTypeNames, ...emailEventTypes])]);
  return new Set(
    emailEventTypes.filter((type) => names.includes(type) || names.includes(activityName(type))),
  );
}
