import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

export type FanmailProcess = {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves with the first line of stdout that matches; fails when the process ends before. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  /** The exit code; null when a signal ended it. */
  exited: Promise<number | null>;
};

/** The built program in a process of its own, with nothing of this process's environment but PATH. */
export function fanmail(args: string[], environment: Record<string, string>): FanmailProcess {
  const env = { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...environment };
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    output.stderr += chunk;
  });
  const exited = once(child, "close").then(([code]) => code as number | null);
  return {
    child,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    exited,
    async line(pattern) {
      for (;;) {
        const match = pattern.exec(output.stdout);
        if (match) return match;
        const isOver = await Promise.race([
          once(child.stdout, "data").then(() => false),
          exited.then(() => true),
        ]);
        if (isOver && !pattern.test(output.stdout))
          throw new Error(`It ended before it printed ${pattern}: ${output.stderr}`);
      }
    },
  };
}
