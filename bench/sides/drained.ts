import { setTimeout as sleep } from "node:timers/promises";
import type { Corpus } from "../corpus/corpus.ts";
import { assertEqual, expectationOf } from "../corpus/expectation.ts";
import { walPosition } from "../table-bytes.ts";
import { cpuBetween, type Run, readCpu } from "./rounds.ts";
import type { Side } from "./side.ts";

const lookEveryMs = 5;

/** @property measured how many messages were left when the rate's measurement began. */
type Drained = Run & { startSeconds: number; measured: number };

/** Measures from the first progress on: how long a worker takes to start is a figure of its own. */
export async function drained(side: Side, part: Corpus): Promise<Drained> {
  const expected = expectationOf(part);
  await side.empty();
  await side.fill(part);
  const all = await side.waiting();
  const startedMs = performance.now();
  const starting = side.startWorker();
  await waitingBelow(side, all - 1);
  const firstMs = performance.now();
  await starting;
  const processes = side.processes();
  const before = await readCpu(processes);
  const measured = await side.waiting();
  const walBefore = await walPosition(side.db);
  const measuredMs = performance.now();
  await waitingBelow(side, 0);
  const seconds = (performance.now() - measuredMs) / 1000;
  const cpu = cpuBetween(before, await readCpu(processes), measured);
  const walBytes = ((await walPosition(side.db)) - walBefore) / measured;
  await side.stop("worker");
  assertEqual(side.name, expected, await side.applied());
  const startSeconds = (firstMs - startedMs) / 1000;
  return { perSecond: measured / seconds, cpu, walBytes, startSeconds, measured };
}

/** Waits until at most so many messages are left. */
async function waitingBelow(side: Side, most: number): Promise<void> {
  while ((await side.waiting()) > most) await sleep(lookEveryMs);
}
