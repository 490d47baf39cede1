import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { databaseLine, type Ended } from "./command.ts";
import { freshBuild } from "./fresh-build.ts";

freshBuild();
const main = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

export type FanmailProcess = {
  child: ChildProcess;
  /** Resolves with the first match in stdout; fails when the process ends before. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  /** All that it has written so far. */
  stderr(): string;
  ended: Promise<Ended>;
};

/** The built program in a process of its own, with no more of this process's environment than it needs. */
export function fanmail(
  args: string[],
  environment: Record<string, string> = {},
  stdin: string | Buffer = "",
): FanmailProcess {
  const env = { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...environment };
  const child = spawn(process.execPath, [main, ...args], { env });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    output.stderr += chunk;
  });
  // A command that does not read its input may end before it is written.
  child.stdin.on("error", () => {});
  child.stdin.end(stdin);
  const ended = once(child, "close").then(
    ([code]): Ended => ({ code, ...output, stderr: output.stderr.replace(databaseLine, "") }),
  );
  return {
    child,
    ended,
    stderr: () => output.stderr,
    async line(pattern) {
      for (;;) {
        const match = pattern.exec(output.stdout);
        if (match) return match;
        const isOver = await Promise.race([
          once(child.stdout, "data").then(() => false),
          ended.then(() => true),
        ]);
        if (isOver && !pattern.test(output.stdout))
          throw new Error(`It ended before it printed ${pattern}: ${output.stderr}`);
      }
    },
  };
}

/** Runs a command in a process of its own, to its end; `run` of command.ts is quicker. */
export function runProcess(
  args: string[],
  environment: Record<string, string> = {},
  stdin: string | Buffer = "",
): Promise<Ended> {
  return fanmail(args, environment, stdin).ended;
}

/** Asks a process to stop, as a supervisor does. */
export function terminate({ child, ended }: FanmailProcess): Promise<Ended> {
  child.kill("SIGTERM");
  return ended;
}

/** A directory that the embedded PostgreSQL can work in, also when root runs it as another user. */
export async function dataDirectory(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "fanmail-cli-"));
  await chmod(path, 0o755);
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
