import { Readable } from "node:stream";
import { runCommand } from "../../src/cli/run-command.ts";

/** `code` is null when a signal ended a process. `stderr` is without the line about the database. */
export type Ended = { code: number | null; stdout: string; stderr: string };

/** Commands print which database they use; that has tests of its own. */
export const databaseLine = /^Database: .+\n/m;

/** Runs a command to its end, in this process, with no more of its environment than it needs. */
export async function run(
  args: string[],
  environment: Record<string, string> = {},
  stdin: string | Buffer = "",
): Promise<Ended> {
  const ended = await runVerbatim(args, environment, stdin);
  return { ...ended, stderr: ended.stderr.replace(databaseLine, "") };
}

let lastRun: Promise<unknown> = Promise.resolve();

/** Like `run`, with all that is written to standard error. Commands run one after the other: they share the output. */
export function runVerbatim(
  args: string[],
  environment: Record<string, string> = {},
  stdin: string | Buffer = "",
): Promise<Ended> {
  const ended = lastRun.then(() => runHere(args, environment, stdin));
  lastRun = ended.catch(() => {});
  return ended;
}

async function runHere(
  args: string[],
  environment: Record<string, string>,
  stdin: string | Buffer,
): Promise<Ended> {
  const output = { stdout: "", stderr: "" };
  const { env, exitCode } = process;
  const writes = { stdout: process.stdout.write, stderr: process.stderr.write };
  const input = Object.getOwnPropertyDescriptor(process, "stdin")!;
  const listeners = signals.map((signal) => process.listeners(signal));
  process.env = { PATH: env["PATH"], HOME: env["HOME"], ...environment };
  Object.defineProperty(process, "stdin", { ...input, get: () => Readable.from([stdin]) });
  process.stdout.write = keeping((text) => {
    output.stdout += text;
  });
  process.stderr.write = keeping((text) => {
    output.stderr += text;
  });
  try {
    const code = await runCommand(args);
    return { code, ...output };
  } finally {
    process.env = env;
    process.exitCode = exitCode;
    process.stdout.write = writes.stdout;
    process.stderr.write = writes.stderr;
    Object.defineProperty(process, "stdin", input);
    forgetSignals(listeners);
  }
}

const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

function forgetSignals(before: readonly NodeJS.SignalsListener[][]): void {
  signals.forEach((signal, index) => {
    for (const listener of process.listeners(signal))
      if (!before[index]!.includes(listener)) process.removeListener(signal, listener);
  });
}

/** A stand-in for a stream's `write`. */
function keeping(keep: (text: string) => void): typeof process.stdout.write {
  return (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    keep(typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8"));
    const done = rest.find((one) => typeof one === "function");
    if (done) queueMicrotask(() => done());
    return true;
  };
}
