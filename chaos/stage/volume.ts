import { execFile } from "node:child_process";
import { mkdir, statfs } from "node:fs/promises";
import { promisify } from "node:util";
import type { Watchdog } from "./watchdog.ts";

/** A volume of its own for the database, in memory. */
export type Volume = {
  /** No byte more can be written. */
  fill(): Promise<void>;
  relieve(): Promise<void>;
  unmount(): Promise<void>;
};

const run = promisify(execFile);
const size = "8g";

/** @returns null where this process may not mount anything; the directory is then an ordinary one. */
export async function mountVolume(directory: string, watchdog: Watchdog): Promise<Volume | null> {
  await mkdir(directory, { recursive: true });
  try {
    await run("mount", ["-t", "tmpfs", "-o", `size=${size},mode=755`, "fanmail-chaos", directory]);
  } catch {
    return null;
  }
  watchdog.mounted(directory);
  const resize = (to: string) => run("mount", ["-o", `remount,size=${to}`, directory]);
  return {
    async fill() {
      // A volume cannot become smaller than its contents, which may grow at this moment.
      for (;;) {
        const { blocks, bfree, bsize } = await statfs(directory);
        const isDone = await resize(String((blocks - bfree) * bsize)).then(
          () => true,
          () => false,
        );
        if (isDone) return;
      }
    },
    relieve: async () => void (await resize(size)),
    unmount: async () => void (await run("umount", ["-l", directory])),
  };
}
