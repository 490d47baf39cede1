import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { captureFiles } from "./read-capture.ts";

const Place = z.object({ taken: z.int().min(0) });
const writeEveryMs = 1_000;

/** Remembers how far a replay has come, so that one that was interrupted can go on. */
export type ReplayPlace = {
  /** How many of the capture were surely taken when an earlier one ended; 0 when there was none. */
  taken: number;
  /** Notes it; it is on disk within a second. */
  note(taken: number): void;
  /** Writes what was noted last, or forgets all when the replay is complete. */
  close(isComplete: boolean): Promise<void>;
};

/**
 * The place of a replay in the data directory.
 * @param options what makes it another replay of the same files: where it goes, what is left out.
 */
export async function replayPlace(dataDir: string, path: string, options: object): Promise<ReplayPlace> {
  const key = JSON.stringify([resolve(path), await captureFiles(path), options]);
  const directory = join(dataDir, "replays");
  const file = join(directory, `${createHash("sha256").update(key).digest("hex").slice(0, 32)}.json`);
  const earlier = await takenIn(file);
  let noted: number | null = null;
  let writing = Promise.resolve();
  const write = async () => {
    const taken = noted;
    noted = null;
    if (taken === null) return;
    await mkdir(directory, { recursive: true });
    // It has its name when it is whole: the process may be killed at any time.
    await writeFile(`${file}.part`, JSON.stringify({ taken }));
    await rename(`${file}.part`, file);
  };
  // One that fails is met in close().
  const writeNext = () => {
    writing = writing.then(write);
    writing.catch(() => {});
  };
  const timer = setInterval(writeNext, writeEveryMs);
  timer.unref();
  return {
    taken: earlier,
    note(taken) {
      noted = taken;
    },
    async close(isComplete) {
      clearInterval(timer);
      if (!isComplete) writeNext();
      await writing;
      if (isComplete) await rm(file, { force: true });
    },
  };
}

async function takenIn(file: string): Promise<number> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return 0;
    throw error;
  }
  return Place.parse(JSON.parse(text)).taken;
}
