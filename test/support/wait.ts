import { setTimeout as sleep } from "node:timers/promises";

/** Waits until `isTrue`; fails with `what` when it has not come true in time. */
export async function until(
  what: string,
  isTrue: () => Promise<boolean> | boolean,
  withinSeconds = 30,
): Promise<void> {
  const untilMs = Date.now() + withinSeconds * 1000;
  while (Date.now() < untilMs) {
    if (await isTrue()) return;
    await sleep(20);
  }
  throw new Error(`It did not come true within ${withinSeconds} s: ${what}`);
}
