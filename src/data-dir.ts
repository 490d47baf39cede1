import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chown, link, mkdir, open, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Reads a file of the data directory, and creates it if it is missing. Readable by its owner only. When several processes
 * create it at once, all get what the first one wrote.
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
  // Flushed before it gets its name: an empty key file after a power cut would make all secrets unreadable.
  await writeFile(draft, await make(), { mode: 0o600, flag: "wx", flush: true });
  try {
    // A link appears at once with its whole content, and fails if another process was first.
    await link(draft, path);
    await syncDirectory(dataDir);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return readFile(path, "utf8");
}

const keyFileName = "encryption.key";

/**
 * The keys that were generated here, 32 bytes each; creates one if there is none. The first one encrypts.
 * @throws when the file holds anything else; the error names the file alone.
 */
export async function readEncryptionKeys(dataDir: string): Promise<Buffer[]> {
  const text = await readOrMake(dataDir, keyFileName, () => randomBytes(32).toString("base64"));
  const lines = text.split("\n").map((line) => line.trim());
  const keys = lines.filter((line) => line !== "");
  if (keys.length > 0 && keys.every((line) => /^[A-Za-z0-9+/]{43}=$/.test(line))) {
    return keys.map((line) => Buffer.from(line, "base64"));
  }
  throw new Error(
    `${join(dataDir, keyFileName)} must hold 32 bytes in base64, one key in a line; restore it from a backup`,
  );
}

/** Whether {@link readEncryptionKeys} would read keys rather than create one. */
export function hasEncryptionKeys(dataDir: string): boolean {
  return existsSync(join(dataDir, keyFileName));
}

/** Replaces the generated keys atomically: if interrupted, the file holds all of the old keys or all of the new. */
export async function writeEncryptionKeys(dataDir: string, keys: readonly Buffer[]): Promise<void> {
  const text = keys.map((key) => `${key.toString("base64")}\n`).join("");
  // If the path is a link, the file that it points to.
  await replaceFile(await realpath(join(dataDir, keyFileName)), text);
}

async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await writeFile(draft, text, { mode: 0o600, flag: "wx", flush: true });
    await giveTo(draft, path);
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
  await syncDirectory(dirname(path));
}

/** If root replaces a file of the service's user, that user must be able to read the new one. */
async function giveTo(draft: string, path: string): Promise<void> {
  const [ours, theirs] = await Promise.all([stat(draft), stat(path)]);
  if (ours.uid !== theirs.uid || ours.gid !== theirs.gid) await chown(draft, theirs.uid, theirs.gid);
}

/** Makes a new name in the directory survive a power cut. Windows has no such call and needs none. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems do not support it.
    if (!hasCode(error, "EINVAL")) throw error;
  } finally {
    await handle.close();
  }
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
