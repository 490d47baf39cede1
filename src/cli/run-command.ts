import { ConfigError } from "../config.ts";
import { nearest } from "../domain/nearest.ts";
import { errorText } from "../logger.ts";
import { packageVersion } from "../package-info.ts";
import { type Command, print, table, UsageError } from "./command.ts";
import { terminalColumns, wrap } from "./output.ts";

const helpOptions = ["-h", "--help"];
const versionOptions = ["-v", "--version"];

/** A command is loaded when it is called: loading all takes longer than most need to run. */
type ListedCommand = { summary: string; load: () => Promise<Command> };

const commands: Readonly<Record<string, ListedCommand>> = {
  start: {
    summary: "everything in one process: receiver, API and workers",
    load: async () => (await import("./serve.ts")).start,
  },
  receiver: {
    summary: "the receiver and the API alone",
    load: async () => (await import("./serve.ts")).receiver,
  },
  worker: { summary: "the workers alone", load: async () => (await import("./serve.ts")).worker },
  migrate: {
    summary: "brings the database's schema up to date",
    load: async () => (await import("./migrate.ts")).migrateCommand,
  },
  demo: {
    summary: "shows the main job on a captured week of a small shop; needs nothing but Node",
    load: async () => (await import("./demo.ts")).demo,
  },
  trigger: {
    summary: "posts an event of your choice to a running service, without AWS",
    load: async () => (await import("./trigger.ts")).trigger,
  },
  listen: {
    summary: "shows webhooks live, and forwards them signed",
    load: async () => (await import("./listen.ts")).listen,
  },
  replay: {
    summary: "posts captured notifications to a receiver, as SNS would",
    load: async () => (await import("./replay.ts")).replay,
  },
  capture: {
    summary: "writes notifications from the journal to a file that replay reads",
    load: async () => (await import("./capture.ts")).capture,
  },
  rebuild: {
    summary: "recomputes activity from the journal, and prints what changes",
    load: async () => (await import("./rebuild.ts")).rebuild,
  },
  projects: {
    summary: "tenants: list, create, set",
    load: async () => (await import("./projects.ts")).projects,
  },
  keys: { summary: "API keys: create, list, revoke", load: async () => (await import("./keys.ts")).keys },
  topics: {
    summary: "allow-listed SNS topics: add, list, remove",
    load: async () => (await import("./topics.ts")).topics,
  },
  ses: {
    summary: "connects a configuration set of SES: topic, event destination, subscription",
    load: async () => (await import("./ses.ts")).ses,
  },
  endpoints: {
    summary: "webhook endpoints: add, list, remove",
    load: async () => (await import("./endpoints.ts")).endpoints,
  },
  doctor: {
    summary: "why nothing arrives, and what to do about it",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  "rotate-encryption-key": {
    summary: "re-encrypts webhook secrets with the current key",
    load: async () => (await import("./rotate-encryption-key.ts")).rotateEncryptionKey,
  },
};

/**
 * Runs `fanmail <args>` in this process.
 * @returns the exit code.
 */
export async function runCommand([name, ...args]: string[]): Promise<number> {
  if (name === "help" && args[0] !== undefined) return runCommand([args[0], "--help"]);
  if (name === undefined || ["help", ...helpOptions].includes(name)) return help();
  if (versionOptions.includes(name)) return version();
  const listed = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (listed === undefined) return unknownCommand(name);
  if (args.some((arg) => versionOptions.includes(arg))) return version();
  const command = await listed.load();
  if (args.some((arg) => helpOptions.includes(arg))) {
    print(`fanmail ${name}: ${listed.summary}\n\n${command.help}`);
    return 0;
  }
  return run(name, command, args);
}

async function run(name: string, command: Command, args: string[]): Promise<number> {
  try {
    return (await command.run(args)) ?? 0;
  } catch (error) {
    const hint = error instanceof UsageError ? `\nSee: npx fanmail ${name} --help` : "";
    const text = error instanceof ConfigError ? error.message : errorText(error);
    process.stderr.write(`fanmail ${name}: ${text}${hint}\n`);
    return 1;
  }
}

function version(): number {
  print(packageVersion);
  return 0;
}

function help(): number {
  print("Usage: npx fanmail <command> [options]     npx fanmail <command> --help\n");
  const rows = Object.entries(commands).map(([command, { summary }]) => [command, summary]);
  const indent = " ".repeat(Math.max(...Object.keys(commands).map(({ length }) => length)) + 4);
  for (const line of table(rows)) print(wrap(`  ${line}`, terminalColumns, indent));
  return 0;
}

function unknownCommand(name: string): number {
  const near = nearest(name, Object.keys(commands));
  const suggestion = near === null ? "" : `; did you mean "${near}"?`;
  process.stderr.write(`fanmail: there is no command "${name}"${suggestion}\n\n`);
  help();
  return 1;
}
