import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { draftOf, hasDatabase, type Place, placeAt, removeAbandonedDrafts } from "./directory.ts";
import { codeOf, messageOf } from "./failure.ts";

export const superuser = "fanmail";

/** Makes the database directory unless it exists. An interrupted initialisation leaves only a draft. */
export async function initialise(place: Place, bin: string): Promise<void> {
  if (hasDatabase(place)) return;
  const draft = placeAt(place.dataDir, draftOf(place.home));
  try {
    await removeAbandonedDrafts(place.home);
    await makeDirectories(draft);
    await runInitdb(draft, bin);
    await publish(draft, place);
  } catch (cause) {
    const remedy = "remove the cause, or choose another data directory";
    throw new Error(`Cannot make a database in ${place.home} (${messageOf(cause)}); ${remedy}`, { cause });
  } finally {
    await rm(draft.home, { recursive: true, force: true });
  }
}

async function makeDirectories({ home, pgdata, passwordFile, user }: Place): Promise<void> {
  await mkdir(home);
  // root owns the directory, so the server's user can enter it but cannot plant links where root writes.
  await chmod(home, user === null ? 0o700 : 0o711);
  await mkdir(pgdata, { mode: 0o700 });
  await writeFile(passwordFile, randomBytes(24).toString("hex"), { mode: 0o600 });
  if (user === null) return;
  await chown(pgdata, user.uid, user.gid);
  await chown(passwordFile, user.uid, user.gid);
}

async function runInitdb({ home, pgdata, passwordFile, user }: Place, bin: string): Promise<void> {
  const args = ["-D", pgdata, `--username=${superuser}`, `--pwfile=${passwordFile}`, "--auth=scram-sha-256"];
  args.push(
    "--encoding=UTF8",
    "--locale=C",
    "--no-instructions",
    "--set=timezone=UTC",
    "--set=log_timezone=UTC",
  );
  await promisify(execFile)(path.join(bin, "initdb"), args, { ...user, cwd: home, env: serverEnvironment() });
  if (user !== null) await chown(passwordFile, 0, 0);
}

async function publish(draft: Place, place: Place): Promise<void> {
  try {
    await rename(draft.home, place.home);
  } catch (error) {
    // Another process may have been first; then its database is used.
    if (hasDatabase(place)) return;
    if (codeOf(error) !== "ENOTEMPTY" && codeOf(error) !== "EEXIST") throw error;
    throw new Error(`${place.home} holds files but no database; move it away`, { cause: error });
  }
}

/** The environment of PostgreSQL: none of our secrets, and English messages, so that they can be recognised. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const needed = ["PATH", "SystemRoot", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH"];
  const kept = needed.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), LC_ALL: "C", TZ: "UTC" };
}
