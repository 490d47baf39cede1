import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

/** Encrypts secrets at rest. */
export type SecretBox = {
  /** @param boundTo what the secret belongs to; it opens for nothing else. */
  seal(secret: string, boundTo: string): Buffer;
  /** @throws when it was sealed with another key or for something else, or was changed. */
  open(sealed: Buffer, boundTo: string): string;
};

const version = 1;
const keyIdBytes = 4;
const ivBytes = 12;
const tagBytes = 16;
const headBytes = 1 + keyIdBytes + ivBytes + tagBytes;

/**
 * AES-256-GCM. Layout: version, key id, IV, tag, ciphertext.
 * @param key 32 bytes.
 */
export function createSecretBox(key: Buffer): SecretBox {
  const keyId = createHash("sha256").update(key).digest().subarray(0, keyIdBytes);
  return {
    seal(secret, boundTo) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(boundTo));
      const ciphertext = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return Buffer.concat([Buffer.of(version), keyId, iv, cipher.getAuthTag(), ciphertext]);
    },
    open(sealed, boundTo) {
      if (sealed[0] !== version || sealed.length < headBytes)
        throw new Error("A webhook secret is malformed");
      if (!sealed.subarray(1, 1 + keyIdBytes).equals(keyId)) {
        throw new Error("A webhook secret was encrypted with another ENCRYPTION_KEY");
      }
      const iv = sealed.subarray(1 + keyIdBytes, 1 + keyIdBytes + ivBytes);
      const tag = sealed.subarray(headBytes - tagBytes, headBytes);
      const decipher = createDecipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(boundTo)).setAuthTag(tag);
      return decipher.update(sealed.subarray(headBytes), undefined, "utf8") + decipher.final("utf8");
    },
  };
}
