import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { delimiter } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** `code` is null when a signal ended the process. */
type Ended = { code: number | null; output: string };

export type RunningProcess = {
  child: ChildProcess;
  /** Resolves with the first match in what it writes; fails when it ends before. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  ended: Promise<Ended>;
  hasEnded(): boolean;
  /** Asks it to stop, unless it has ended. */
  stop(signal: NodeJS.Signals): Promise<Ended>;
};

/** Some servers are where only root's search path looks. */
const searchPath = [process.env["PATH"] ?? "", "/usr/sbin", "/usr/local/sbin"].join(delimiter);

/** Whether a program is on this machine. @param versionFlag with which it ends at once. */
export function hasProgram(name: string, versionFlag = "--version"): boolean {
  return spawnSync(name, [versionFlag], { env: { PATH: searchPath } }).status === 0;
}

/**
 * Runs the command of a container as a process of this machine, in the directory that stands for the container's.
 * `tini` is left out, because what it does for process 1 is done here by the system.
 */
export function runCommand(command: string[], environment: Record<string, string> = {}): RunningProcess {
  const [name = "", ...args] = command[0] === "tini" ? command.slice(2) : command;
  const program = name === "node" ? process.execPath : name;
  const env = { PATH: searchPath, HOME: process.env["HOME"] ?? "", ...environment };
  const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      output += chunk;
    });
  }
  const ended = once(child, "close").then(([code]): Ended => ({ code, output }));
  return {
    child,
    ended,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    async line(pattern) {
      for (;;) {
        const isOver = child.exitCode !== null || child.signalCode !== null;
        if (isOver) await ended;
        const match = pattern.exec(output);
        if (match) return match;
        if (isOver) throw new Error(`It ended before it wrote ${pattern}: ${output}`);
        await sleep(20);
      }
    },
    stop(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

/** For servers that cannot tell which port the system chose. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
