import type { ChildProcess } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuMicroseconds } from "./cpu-time.ts";
import { end, startScript } from "./processes.ts";

/** @property cpuSeconds of all processes until then, PostgreSQL's included. */
export type ColdStart = { seconds: number; cpuSeconds: number };

const lookEveryMs = 5;

/** Starts `fanmail start` with an embedded database so many times; the directory is initialised before the first. */
export async function coldStarts(starts: number, stop: AbortSignal): Promise<ColdStart[]> {
  const dataDir = await mkdtemp(join(tmpdir(), "fanmail-bench-start-"));
  try {
    // If this is root, PostgreSQL runs as another user, which must be able to enter.
    await chmod(dataDir, 0o755);
    await coldStart(dataDir);
    const measured: ColdStart[] = [];
    while (measured.length < starts) {
      stop.throwIfAborted();
      measured.push(await coldStart(dataDir));
    }
    return measured;
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function coldStart(dataDir: string): Promise<ColdStart> {
  const env = { PATH: process.env["PATH"], DATA_DIR: dataDir, PORT: "0", LOG_LEVEL: "warn" };
  const children: ChildProcess[] = [];
  const onSpawn = (child: ChildProcess) => void children.push(child);
  const startedMs = performance.now();
  try {
    const ready = /listens on (\S+)/;
    const { pid, match } = await startScript("src/cli/main.js", ["start"], { env, ready, onSpawn });
    while (!(await isReady(match[1] ?? ""))) await sleep(lookEveryMs);
    const seconds = (performance.now() - startedMs) / 1000;
    return { seconds, cpuSeconds: (await cpuMicroseconds(pid)) / 1_000_000 };
  } finally {
    await Promise.all(children.map(end));
  }
}

async function isReady(url: string): Promise<boolean> {
  const { status } = await fetch(`${url}/readyz`);
  return status === 200;
}
