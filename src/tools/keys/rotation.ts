import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { readEncryptionKeys, writeEncryptionKeys } from "../../data-dir.ts";
import { errorText } from "../../logger.ts";
import type { Database } from "../../storage/database.ts";
import {
  boundToHeadersOf,
  createSecretBox,
  idOfEncryptionKey,
  type SecretBox,
} from "../../webhooks/secret-box.ts";
import {
  countSealed,
  hasOtherSessions,
  type Resealed,
  type Resealing,
  resealAll,
  type Sealed,
  tryResealAll,
} from "./sealed.sql.ts";

/**
 * `outcome`: `complete` if no older key is needed any more, `refused` if no key can decrypt something, `busy` if another
 * process may still encrypt with an older key.
 */
export type KeyRotation = Resealing & { outcome: "complete" | "refused" | "busy" };

const othersEndWithinMs = 5_000;
const pollMs = 100;

type Store = { db: Database; secretBox: SecretBox };

/**
 * Counts what a rotation would re-encrypt; changes nothing.
 * @param isToNewKey the rotation would make a new key.
 */
export async function tryRotation({ db, secretBox }: Store, isToNewKey: boolean): Promise<KeyRotation> {
  const keyId = isToNewKey ? Buffer.alloc(0) : secretBox.encryptionKeyId;
  const resealing = await tryResealAll(db, keyId, resealWith(secretBox));
  return { ...resealing, outcome: resealing.refused.length === 0 ? "complete" : "refused" };
}

/** Re-encrypts everything with the secret box's key. */
export async function rotateToGivenKey({ db, secretBox }: Store): Promise<KeyRotation> {
  const resealing = await resealAll(db, secretBox.encryptionKeyId, resealWith(secretBox));
  if (resealing.refused.length > 0) return { ...resealing, outcome: "refused" };
  const isComplete = (await countSealed(db)).every(({ key_id }) => key_id.equals(secretBox.encryptionKeyId));
  return { ...resealing, outcome: isComplete ? "complete" : "busy" };
}

/**
 * Makes a key in the data directory, re-encrypts everything with it, and removes older keys that nothing needs. No
 * service may run meanwhile, because it would not know the new key.
 */
export async function rotateToNewKey(db: Database, dataDir: string): Promise<KeyRotation> {
  const older = await readEncryptionKeys(dataDir);
  const key = randomBytes(32);
  // The file contains every key that may be needed, even if this is interrupted.
  await writeEncryptionKeys(dataDir, [key, ...older]);
  const isAlone = await othersEnd(db);
  const secretBox = createSecretBox([key, ...older]);
  const resealing = await resealAll(db, secretBox.encryptionKeyId, resealWith(secretBox));
  if (!isAlone) return { ...resealing, outcome: "busy" };
  const counts = await countSealed(db);
  const needed = older.filter((one) => counts.some(({ key_id }) => key_id.equals(idOfEncryptionKey(one))));
  await writeEncryptionKeys(dataDir, [key, ...needed]);
  return { ...resealing, outcome: resealing.refused.length === 0 ? "complete" : "refused" };
}

/** Commands that started before the new key existed encrypt with an older one until they end. */
async function othersEnd(db: Database): Promise<boolean> {
  const deadlineMs = Date.now() + othersEndWithinMs;
  while (await hasOtherSessions(db)) {
    if (Date.now() > deadlineMs) return false;
    await sleep(pollMs);
  }
  return true;
}

function resealWith(secretBox: SecretBox): (row: Sealed) => Resealed {
  return ({ kind, endpoint_id, sealed }) => {
    const boundTo = kind === "secret" ? endpoint_id : boundToHeadersOf(endpoint_id);
    try {
      return { sealed: secretBox.seal(secretBox.open(sealed, boundTo), boundTo) };
    } catch (error) {
      return { refused: errorText(error) };
    }
  };
}
