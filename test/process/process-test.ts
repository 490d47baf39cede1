import { test as base } from "vitest";
import { dataDirectory, type FanmailProcess, fanmail } from "../support/fanmail-process.ts";

/** A test with a data directory, and with processes that end with it. */
export const test = base
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern what a fixture depends on.
  .extend("dataDir", async ({}, { onCleanup }) => {
    const { path, remove } = await dataDirectory();
    onCleanup(remove);
    return path;
  })
  .extend("start", ({ dataDir }, { onCleanup }) => {
    const started: FanmailProcess[] = [];
    onCleanup(async () => {
      for (const { child } of started) child.kill("SIGKILL");
      await Promise.all(started.map(({ ended }) => ended));
    });
    return (args: string[], environment: Record<string, string> = {}): FanmailProcess => {
      const one = fanmail(args, { PORT: "0", DATA_DIR: dataDir, ...environment });
      started.push(one);
      return one;
    };
  });
