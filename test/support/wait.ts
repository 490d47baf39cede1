import { setTimeout as sleep } from "node:timers/promises";

/** Waits until `isTrue`; fails with `what` when it has not come true within 30 seconds. */
export async function until(what: string, isTrue: () => Promise<boolean> | boolean): Promise<void> {
  const untilMs = Date.now() + 30_000;
  while (Date.now() < untilMs) {
    if (await isTrue()) return;
    await sleep(20);
  }
  throw new Error(`It did not come true within 30 s: ${what}`);
}
