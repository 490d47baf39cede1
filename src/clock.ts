import { randomFillSync } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { v7 } from "uuid";
import { passing } from "./domain/maps.ts";

/** The source of time, ids and randomness; everything else gets them from here. */
export type Clock = {
  now(): Date;
  /** A UUIDv7. */
  newId(): string;
  /** In [0, 1). */
  random(): number;
};

const randomBytesOfId = 16;
const idsTogether = 256;

/** Makes UUIDv7 that ascend within this process. Random bytes for each id alone would cost ten times as much. */
function timeOrderedIds(): () => string {
  const pool = Buffer.alloc(idsTogether * randomBytesOfId);
  let used = pool.length;
  let msecs = 0;
  let seq = 0;
  return () => {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const random = pool.subarray(used, used + randomBytesOfId);
    used += randomBytesOfId;
    const now = Date.now();
    // Starts in the lower half of its 32 bits, so that it does not overflow.
    seq = now > msecs ? random.readUInt32BE(6) >>> 1 : seq + 1;
    msecs = Math.max(msecs, now);
    return v7({ random, msecs, seq });
  };
}

export const systemClock: Clock = { now: () => new Date(), newId: timeOrderedIds(), random: Math.random };

/** Waits, at most until `stopping`. */
export async function pause(milliseconds: number, stopping: AbortSignal): Promise<void> {
  try {
    await sleep(Math.max(0, milliseconds), undefined, { signal: stopping });
  } catch (error) {
    if (!stopping.aborted) throw error;
  }
}

/**
 * Waits for work for so many milliseconds at most. After that the work continues, and its result is ignored.
 * @param late the error that is thrown then, or its message.
 */
export async function within<Result>(
  milliseconds: number,
  work: Promise<Result>,
  late: string | (() => Error),
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(typeof late === "string" ? new Error(late) : late()), milliseconds);
  });
  return Promise.race([work, tooLong]).finally(() => clearTimeout(timer));
}

/** Waits of the same length. */
export type Waits = {
  /** @param onEnd called when the time is over, or earlier by `endAll`; not once the wait is released. @returns releases it. */
  begin(onEnd: (isLate: boolean) => void): () => void;
  endAll(): void;
};

type Wait = { untilMs: number; onEnd: (isLate: boolean) => void; release: () => boolean };

/** Watches over many waits with one timer: a timer for each costs as much as a signature. */
export function waitsOf(milliseconds: number): Waits {
  const waiting = passing<Wait>();
  let timer: NodeJS.Timeout | undefined;

  function lookLater(): void {
    const oldest = waiting.first();
    if (timer !== undefined || oldest === undefined) return;
    const { untilMs } = oldest;
    // What is waited for keeps the process alive, not this watch.
    timer = setTimeout(() => look(untilMs), untilMs - performance.now()).unref();
  }

  /** On a busy machine timers fire late, and those of other waits that end before the next one here come first. */
  function look(dueMs: number): void {
    timer = undefined;
    for (const one of waiting.all()) if (one.untilMs <= dueMs) end(one, true);
    lookLater();
  }

  function end({ release, onEnd }: Wait, isLate: boolean): void {
    // The end of another one may have released it.
    if (release()) onEnd(isLate);
  }

  return {
    begin(onEnd) {
      const one: Wait = { untilMs: Math.ceil(performance.now()) + milliseconds, onEnd, release: () => false };
      one.release = waiting.add(one);
      lookLater();
      return one.release;
    },
    endAll() {
      for (const one of waiting.all()) end(one, false);
    },
  };
}

/**
 * As `within`, for many works of the same limit.
 * @param late the error that is thrown after so many milliseconds.
 */
export function allWithin(
  milliseconds: number,
  late: () => Error,
): <Result>(work: Promise<Result>) => Promise<Result> {
  const { begin } = waitsOf(milliseconds);
  return (work) =>
    new Promise((resolve, reject) => {
      const release = begin(() => reject(late()));
      work.then(resolve, reject).finally(release);
    });
}

/** Waits for work until `stopping`; after that the work continues, and its result is ignored. @throws the signal's reason. */
export async function unlessStopped<Result>(
  work: Promise<Result>,
  stopping: AbortSignal | undefined,
): Promise<Result> {
  if (stopping === undefined) return work;
  const stopped = new Promise<never>((_resolve, reject) => {
    if (stopping.aborted) reject(stopping.reason);
    stopping.addEventListener("abort", () => reject(stopping.reason), { once: true });
  });
  return Promise.race([work, stopped]);
}
