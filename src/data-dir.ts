import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chown, link, mkdir, open, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

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
 * The keys that were generated here, 32 bytes each, one being made first where there is none. The first one encrypts.
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

/** True when {@link readEncryptionKeys} reads, and makes none. */
export function hasEncryptionKeys(dataDir: string): boolean {
  return existsSync(join(dataDir, keyFileName));
}

/** Replaces the generated keys at once: whatever interrupts it, the file holds all of the old ones or of the new. */
export async function writeEncryptionKeys(dataDir: string, keys: readonly Buffer[]): Promise<void> {
  const text = keys.map((key) => `${key.toString("base64")}\n`).join("");
  // The file itself where it is a link.
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

/** Root may replace what belongs to the user of the service, who must be able to read it afterwards. */
async function giveTo(draft: string, path: string): Promise<void> {
  const [ours, theirs] = await Promise.all([stat(draft), stat(path)]);
  if (ours.uid !== theirs.uid || ours.gid !== theirs.gid) await chown(draft, theirs.uid, theirs.gid);
}

/** After it a name in the directory outlives a power cut. Windows has no such call and needs none. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } catch (error) {
    // So do some file systems.
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
