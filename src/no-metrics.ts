import type { Metrics } from "./metrics.ts";

/** For a process that serves no metrics: counting them takes a library that is slow to load. */
export const noMetrics: Metrics = {
  text: async () => "",
  countReceived() {},
  countUnavailable() {},
  countRefused() {},
  observeCommit() {},
  observeApplied() {},
  countBatchFailed() {},
  countAttempts() {},
  countDisabled() {},
  observeRequest() {},
};
