import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const sampleEveryMs = 20;

/** The maximum resident memory observed in a process during `work`, in bytes. */
export async function peakWhile(pid: number, work: () => Promise<void>): Promise<number> {
  const done = new AbortController();
  const [peakBytes] = await Promise.all([peakUntil(pid, done.signal), work().finally(() => done.abort())]);
  return peakBytes;
}

async function peakUntil(pid: number, done: AbortSignal): Promise<number> {
  let peakBytes = 0;
  while (!done.aborted) {
    peakBytes = Math.max(peakBytes, await residentBytes(pid));
    await sleep(sampleEveryMs);
  }
  return peakBytes;
}

/** The resident memory of a process. */
export async function residentBytes(pid: number): Promise<number> {
  const kilobytes = process.platform === "linux" ? await fromProc(pid) : await fromPs(pid);
  if (!(kilobytes > 0)) throw new Error(`Cannot read the memory of process ${pid}`);
  return kilobytes * 1024;
}

async function fromProc(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
}

async function fromPs(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)("ps", ["-o", "rss=", "-p", String(pid)]);
  return Number(stdout);
}
