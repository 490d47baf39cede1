import { readdir, readFile } from "node:fs/promises";

/** Clock ticks of /proc in a second: the same on every Linux. */
const ticksPerSecond = 100;

/** What /proc says about a process; times in ticks. @property ofEnded the time of children that have ended. */
type Stat = { pid: number; parent: number; own: number; ofEnded: number };

/**
 * The processor time that a process and all its descendants have used, in microseconds, with those that have ended. Two
 * readings must be half a second apart at least: a tick is 10 ms.
 * @throws where there is no /proc.
 */
export async function cpuMicroseconds(pid: number): Promise<number> {
  const stats = await allStats();
  const root = stats.find((stat) => stat.pid === pid);
  if (root === undefined) throw new Error(`Process ${pid} has ended`);
  return (1_000_000 * ticksOf(root, stats)) / ticksPerSecond;
}

function ticksOf(stat: Stat, all: readonly Stat[]): number {
  const children = all.filter(({ parent }) => parent === stat.pid);
  return children.reduce((sum, child) => sum + ticksOf(child, all), stat.own + stat.ofEnded);
}

/** A process and all its descendants that live. */
export async function familyOf(pid: number): Promise<number[]> {
  const stats = await allStats();
  const withChildren = (of: number): number[] => [
    of,
    ...stats.flatMap((stat) => (stat.parent === of ? withChildren(stat.pid) : [])),
  ];
  return withChildren(pid);
}

/** The parent of a process. */
export async function parentOf(pid: number): Promise<number> {
  const stat = await statOf(pid);
  if (stat === null) throw new Error(`Process ${pid} has ended`);
  return stat.parent;
}

async function allStats(): Promise<Stat[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map((pid) => statOf(Number(pid))));
  return stats.filter((stat) => stat !== null);
}

/** @returns null if the process has ended. */
async function statOf(pid: number): Promise<Stat | null> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (text === null) return null;
  // The name, in brackets, may contain spaces and brackets itself.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const number = (place: number) => Number(fields[place]);
  // Fields 4 and 14 to 17 of proc(5); the rest begins with field 3.
  return { pid, parent: number(1), own: number(11) + number(12), ofEnded: number(13) + number(14) };
}
