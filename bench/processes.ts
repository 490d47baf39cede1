import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../src/package-info.ts";

/** A process that works. @property match what it printed when it was ready. */
export type Running = { child: ChildProcess; pid: number; match: RegExpExecArray };

/**
 * Starts a script of the build, and waits until it prints a line that matches. Its log lines are for the user of the
 * benchmark.
 * @param script a path in `dist/`.
 */
export async function startScript(
  script: string,
  args: readonly string[],
  { env, ready, onSpawn }: { env: NodeJS.ProcessEnv; ready: RegExp; onSpawn: (child: ChildProcess) => void },
): Promise<Running> {
  const path = fileURLToPath(new URL(`dist/${script}`, packageRoot));
  const child = spawn(process.execPath, [path, ...args], { env, stdio: ["pipe", "pipe", "inherit"] });
  onSpawn(child);
  const match = await printed(child, ready);
  if (match === null) throw new Error(`${script} ${args.join(" ")} ended before it was ready`);
  if (child.pid === undefined) throw new Error("unreachable: a process that has printed has an id");
  return { child, pid: child.pid, match };
}

async function printed(child: ChildProcess, wanted: RegExp): Promise<RegExpExecArray | null> {
  if (child.stdout === null) throw new Error("unreachable: its standard output is a pipe");
  for await (const line of createInterface(child.stdout)) {
    const match = wanted.exec(line);
    if (match !== null) return match;
  }
  return null;
}

/** A service ends by itself within 10 seconds. */
const endWithinMs = 12_000;

export async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const kill = setTimeout(() => child.kill("SIGKILL"), endWithinMs);
  child.kill("SIGTERM");
  await once(child, "exit");
  clearTimeout(kill);
}
