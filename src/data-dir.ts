import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Reads a file of the data directory, making it first when it is missing. Readable by its owner only.
 * When several processes make it at once, all get what the first one wrote.
 */
export async function readOrMake(
  dataDir: string,
  name: string,
  make: () => string | Promise<string>,
): Promise<string> {
  const path = join(dataDir, name);
  const existing = await readIfThere(path);
  if (existing !== null) return existing;
  await mkdir(dataDir, { recursive: true });
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  // On disk before it has its name: a key that is empty after a power cut would lock everything out.
  await writeFile(draft, await make(), { mode: 0o600, flag: "wx", flush: true });
  try {
    // A link appears whole, and fails when somebody else's is there.
    await link(draft, path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return readFile(path, "utf8");
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
