import type { Logger } from "../logger.ts";

const everyMs = 60_000;

/** Warns once a minute at most: what collects traces may be away for days, and nobody's work depends on it. */
export function sparseWarning(log: Logger): (cause: string) => void {
  let silentUntilMs = Number.NEGATIVE_INFINITY;
  return (cause) => {
    const nowMs = performance.now();
    if (nowMs < silentUntilMs) return;
    silentUntilMs = nowMs + everyMs;
    log.warn({ cause }, "traces");
  };
}
