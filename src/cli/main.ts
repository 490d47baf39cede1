#!/usr/bin/env node
import { ConfigError } from "../config.ts";
import { errorText } from "../logger.ts";
import { packageVersion } from "../package-info.ts";
import { type Command, print, UsageError } from "./command.ts";
import { demo } from "./demo.ts";
import { endpoints } from "./endpoints.ts";
import { keys } from "./keys.ts";
import { migrateCommand } from "./migrate.ts";
import { projects } from "./projects.ts";
import { replay } from "./replay.ts";
import { receiver, start, worker } from "./serve.ts";
import { topics } from "./topics.ts";

const commands: readonly Command[] = [
  start,
  receiver,
  worker,
  migrateCommand,
  demo,
  replay,
  projects,
  keys,
  topics,
  endpoints,
];

process.exitCode = await main(process.argv.slice(2));

async function main([name, ...args]: string[]): Promise<number> {
  if (name === "--version") {
    print(packageVersion);
    return 0;
  }
  const command = commands.find((one) => one.name === name);
  if (command === undefined) return unknownCommand(name);
  if (args.includes("--help")) {
    print(`fanmail ${command.name}: ${command.summary}\n\n${command.help}`);
    return 0;
  }
  return run(command, args);
}

async function run(command: Command, args: string[]): Promise<number> {
  try {
    return (await command.run(args)) ?? 0;
  } catch (error) {
    const hint = error instanceof UsageError ? `\nSee: fanmail ${command.name} --help` : "";
    const text = error instanceof ConfigError ? error.message : errorText(error);
    process.stderr.write(`fanmail ${command.name}: ${text}${hint}\n`);
    return 1;
  }
}

function unknownCommand(name: string | undefined): number {
  const isHelp = name === undefined || name === "--help" || name === "help";
  if (!isHelp) process.stderr.write(`fanmail: there is no command "${name}"\n\n`);
  print("Usage: fanmail <command> [options]     fanmail <command> --help\n");
  for (const { name: command, summary } of commands) print(`  ${command.padEnd(10)} ${summary}`);
  return isHelp ? 0 : 1;
}
